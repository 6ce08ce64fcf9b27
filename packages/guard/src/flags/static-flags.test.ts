import type { FlagSource } from "@sluice/contract";
import { describeFlagSource } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { staticFlags, type StaticFeature } from "./static-flags.ts";

type Variables = Readonly<Record<string, string | undefined>>;

const names = { chat_ai: "CHAT_AI", slotgen_ai: "SLOTGEN_AI" } as const;

/** What the variables of the suite say, every field named, so that one that went away is replaced. */
function featureOf(variables: Variables, name: string): StaticFeature {
  return {
    enabled: variables[`FEATURE_${name}`] === "true",
    killed: variables[`${name}_KILL`] === "true",
    percent: Number(variables[`${name}_ROLLOUT_PERCENT`] ?? 100),
    allowlist: variables[`${name}_ALLOWLIST`]?.split(","),
  };
}

describeFlagSource(
  "staticFlags",
  (variables) => {
    const features = Object.entries(names).map(([feature, name]) => [
      feature,
      featureOf(variables, name),
    ]);
    const source = staticFlags(Object.fromEntries(features) as Record<string, StaticFeature>);
    return {
      source,
      set(next) {
        for (const [feature, name] of Object.entries(names)) {
          source.set(feature, featureOf(next, name));
        }
      },
      settle: () => undefined,
    };
  },
  { tells: true, text: false },
);

describe("staticFlags", () => {
  it("takes neutral values for what is not given", () => {
    expect(staticFlags({ chat_ai: {} }).read("chat_ai")).toEqual({
      enabled: false,
      killed: false,
      percent: 100,
      allowlist: undefined,
      salt: "chat_ai",
      version: undefined,
      problems: [],
    });
  });

  it("keeps what a change does not name", () => {
    const source = staticFlags({ chat_ai: { enabled: true, percent: 5, salt: "" } });
    source.set("chat_ai", { killed: true });
    expect(source.read("chat_ai")).toMatchObject({
      enabled: true,
      killed: true,
      percent: 5,
      salt: "",
    });
  });

  it("is not changed by who changes the list that was given", () => {
    const allowlist = ["alice"];
    const source = staticFlags({ chat_ai: { allowlist } });
    allowlist.push("mallory");
    source.set("chat_ai", { enabled: true });
    expect(source.read("chat_ai").allowlist).toEqual(["alice"]);
  });

  it("never grows stale", () => {
    const source: FlagSource = staticFlags({});
    expect(source.confirmedAt()).toBeUndefined();
  });

  it.each([
    [null, "staticFlags: got null, expected an object of features"],
    [{ "chat-ai": {} }, `staticFlags: got "chat-ai", expected a lower-case letter`],
    [{ chat_ai: { percent: 101 } }, "staticFlags.chat_ai.percent: got 101, expected at most 100"],
    [
      { chat_ai: { percent: 0.5 } },
      "staticFlags.chat_ai.percent: got 0.5, expected a value of type int",
    ],
    [
      { chat_ai: { enabled: "true" } },
      `staticFlags.chat_ai.enabled: got "true", expected a value of type boolean`,
    ],
    [{ chat_ai: { kill: true } }, "staticFlags.chat_ai.kill: got an unknown option"],
    [{ chat_ai: null }, "staticFlags.chat_ai: got null"],
  ])("refuses %j by name", (features, message) => {
    expect(() => staticFlags(features as never)).toThrow(message);
  });

  it("refuses a wrong change and stays as it was", () => {
    const source = staticFlags({ chat_ai: { enabled: true, percent: 5 } });
    expect(() => source.set("chat_ai", { percent: -1 })).toThrow("staticFlags.chat_ai.percent");
    expect(source.read("chat_ai")).toMatchObject({ enabled: true, percent: 5 });
    source.set("chat_ai", { killed: true });
    expect(source.read("chat_ai")).toMatchObject({ killed: true, percent: 5 });
  });

  it("has the switches that it is given, and no other", () => {
    const source = staticFlags({}, { switches: { FF_PROVIDER_FAILOVER_ENABLED: true } });
    const on = Object.entries(source.readSwitches().switches).filter(([, value]) => value);
    expect(on).toEqual([["FF_PROVIDER_FAILOVER_ENABLED", true]]);
    expect(() => staticFlags({}, { switches: { FF_FAILOVER: true } } as never)).toThrow(
      "staticFlags.options.switches",
    );
  });
});
