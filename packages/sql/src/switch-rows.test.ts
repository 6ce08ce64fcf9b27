import { switchNames, type FeatureFlags, type SwitchName } from "@sluice/contract";
import { flagsOf } from "@sluice/policy";
import { describe, expect, it } from "vitest";
import { switchesOf, switchVariables } from "./switch-rows.ts";

const open: FeatureFlags = { ...flagsOf("any", {}), enabled: true, percent: 100 };
const shut: FeatureFlags = { ...open, enabled: false };

const rowsOf = (rows: Readonly<Record<string, FeatureFlags>>) =>
  switchVariables((feature) => rows[feature]);
const on = (rows: Readonly<Record<string, FeatureFlags>>, environment = {}): SwitchName[] => {
  const { switches } = switchesOf(rowsOf(rows), environment);
  return switchNames.filter((name) => switches[name]);
};

describe("the chat gateway's switches in the flag table", () => {
  it.each(switchNames)("%s is a row of that name in lower case", (name) => {
    expect(on({ [name.toLowerCase()]: open })).toEqual([name]);
    expect(on({ [name]: open })).toEqual([]);
  });

  it.each([
    ["not enabled", shut],
    ["killed", { ...open, killed: true }],
    ["at 0 %", { ...open, percent: 0 }],
  ])("are false while their row is %s", (_how, row) => {
    expect(on({ ff_chat_gateway_enabled: row, ff_chat_gateway_shadow: row })).toEqual([]);
  });

  it("take their safest reading from a malformed row, and name themselves", () => {
    const problems = [{ variable: "feature_state.enabled", expected: "true", readAs: "false" }];
    const rows = rowsOf({
      ff_chat_gateway_enabled: { ...open, problems },
      ff_chat_gateway_shadow: { ...shut, problems },
    });
    const { switches, problems: told } = switchesOf(rows, {});
    expect(switches).toMatchObject({
      FF_CHAT_GATEWAY_ENABLED: false,
      FF_CHAT_GATEWAY_SHADOW: true,
    });
    expect(told.map(({ variable }) => variable)).toEqual([
      "FF_CHAT_GATEWAY_ENABLED",
      "FF_CHAT_GATEWAY_SHADOW",
    ]);
  });

  it("are the environment's where they have no row", () => {
    expect(on({ ff_chat_gateway_enabled: open }, { FF_ADMISSION_ENFORCE: "true" })).toEqual([
      "FF_CHAT_GATEWAY_ENABLED",
      "FF_ADMISSION_ENFORCE",
    ]);
  });

  it.each([
    ["FF_CHAT_GATEWAY_ENABLED", open, "false", false],
    ["FF_CHAT_GATEWAY_ENABLED", shut, "true", false],
    ["FF_CHAT_GATEWAY_ENABLED", open, "", true],
    ["FF_CHAT_GATEWAY_SHADOW", shut, "true", true],
    ["FF_CHAT_GATEWAY_SHADOW", open, "false", true],
    ["FF_FAIL_CLOSED_ON_REDIS_ERROR", shut, "true", true],
    ["FF_FAIL_CLOSED_ON_REDIS_ERROR", open, "false", true],
    ["FF_ADMISSION_ENFORCE", open, "false", true],
    ["FF_ADMISSION_ENFORCE", shut, "true", false],
  ] as const)(
    "%s: the environment may narrow its row, not widen it",
    (name, row, text, expected) => {
      const rows = { [name.toLowerCase()]: row };
      expect(on(rows, { [name]: text }).includes(name)).toBe(expected);
    },
  );
});
