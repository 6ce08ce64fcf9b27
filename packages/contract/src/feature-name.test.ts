import { describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.ts";
import { assertFeatureName } from "./feature-name.ts";

describe("a feature's name", () => {
  it.each(["a", "chat_ai", "slotgen_ai", "p3_advisory", `a${"1".repeat(62)}`])(
    "may be %s",
    (name) => {
      expect(() => assertFeatureName("createGuard.feature", name)).not.toThrow();
    },
  );

  it.each([
    "",
    "Chat",
    "chat-ai",
    "chat ai",
    "chat_ai\n",
    "\nchat_ai",
    "1st",
    "_x",
    "chät",
    "chat;drop table",
    "__proto__",
    `a${"1".repeat(63)}`,
    undefined,
    null,
    7,
    ["chat_ai"],
  ])("may not be %j", (name) => {
    expect(() => assertFeatureName("createGuard.feature", name)).toThrow(ConfigError);
    expect(() => assertFeatureName("createGuard.feature", name)).toThrow(
      /^createGuard\.feature: got .*, expected a lower-case letter/,
    );
  });

  it.each(["feature_x", "x_kill", "x_allowlist", "x_rollout_percent"])(
    "may not be %s, which would share a variable with another feature",
    (name) => {
      expect(() => assertFeatureName("createGuard.feature", name)).toThrow(
        /^createGuard\.feature: got .*, expected a name that does not begin with feature_/,
      );
    },
  );
});
