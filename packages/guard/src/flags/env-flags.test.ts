import { describeFlagSource } from "@sluice/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { envFlags } from "./env-flags.ts";

describeFlagSource(
  "envFlags",
  (initial) => {
    const variables: Record<string, string | undefined> = { ...initial };
    return {
      source: envFlags({ variables }),
      set(next) {
        for (const name of Object.keys(variables)) delete variables[name];
        Object.assign(variables, next);
      },
      settle: () => undefined,
    };
  },
  { tells: false, text: true },
);

describe("envFlags", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("reads the process's environment as it is at each read", () => {
    const source = envFlags();
    expect(source.read("chat_ai").enabled).toBe(false);
    vi.stubEnv("FEATURE_CHAT_AI", "true");
    expect(source.read("chat_ai")).toMatchObject({ enabled: true, killed: false });
    vi.stubEnv("CHAT_AI_KILL", "1");
    expect(source.read("chat_ai").killed).toBe(true);
  });

  it("never grows stale", () => {
    expect(envFlags({ variables: {} }).confirmedAt()).toBeUndefined();
  });
});
