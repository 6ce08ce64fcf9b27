import { switchNames, type GateMode, type SwitchName, type Switches } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { admissionRules } from "./admission-rules.ts";

const switchesWith = (...on: readonly SwitchName[]): Switches =>
  Object.fromEntries(switchNames.map((name) => [name, on.includes(name)])) as Record<
    SwitchName,
    boolean
  >;

const own = {
  user_in_flight: "ADMISSION_ENFORCE_USER_INFLIGHT",
  global_in_flight: "ADMISSION_ENFORCE_GLOBAL_INFLIGHT",
  message_rate: "ADMISSION_ENFORCE_GLOBAL_MSG_RATE",
  tool_rate: "ADMISSION_ENFORCE_GLOBAL_TOOL_RATE",
} as const;
type Dimension = keyof typeof own;
const dimensions = Object.keys(own) as readonly Dimension[];

/** Every combination of all ten switches. */
const all: readonly Switches[] = Array.from({ length: 2 ** switchNames.length }, (_, number) =>
  switchesWith(...switchNames.filter((_name, bit) => (number & (1 << bit)) !== 0)),
);

describe("admission's rules by the switches", () => {
  it.each(dimensions)("only observe %s while admission as a whole is off", (dimension) => {
    const on = switchesWith(own[dimension]);
    expect(admissionRules(on).modes[dimension]).toBe("shadow");
  });

  it.each(dimensions)("enforce %s by its own switch, and no other dimension", (dimension) => {
    const { modes } = admissionRules(switchesWith("FF_ADMISSION_ENFORCE", own[dimension]));
    for (const other of dimensions) {
      expect(modes[other], other).toBe(other === dimension ? "enforce" : "shadow");
    }
  });

  it("enforce budgets exactly while admission as a whole is enforced", () => {
    for (const switches of all) {
      const mode: GateMode = switches.FF_ADMISSION_ENFORCE ? "enforce" : "shadow";
      const { modes } = admissionRules(switches);
      expect([modes.user_budget, modes.global_budget]).toEqual([mode, mode]);
    }
  });

  it("let a store that can't answer pass unless it is to fail closed, whatever else is on", () => {
    for (const switches of all) {
      const closed = switches.FF_FAIL_CLOSED_ON_REDIS_ERROR;
      expect(admissionRules(switches).onIndeterminate).toBe(closed ? "closed" : "open");
    }
  });

  it("are one frozen object for each combination, the same for switches that decide nothing here", () => {
    const made = new Set(all.map((switches) => admissionRules(switches)));
    expect(made.size).toBe(2 ** 6);
    for (const rules of made) {
      expect(Object.isFrozen(rules) && Object.isFrozen(rules.modes)).toBe(true);
    }
    const on = admissionRules(switchesWith("FF_ADMISSION_ENFORCE"));
    const others = switchesWith(
      "FF_ADMISSION_ENFORCE",
      "FF_CHAT_GATEWAY_ENABLED",
      "FF_CHAT_GATEWAY_SHADOW",
      "FF_TOOL_QUEUE_ENFORCE",
      "FF_PROVIDER_FAILOVER_ENABLED",
    );
    expect(admissionRules(others)).toBe(on);
  });
});
