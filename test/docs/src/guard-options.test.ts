import { describe, expect, it } from "vitest";
import { checkGuardOptions } from "./check-guard-options.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/reference/guard-options.md");

describe("the page of the guard's options", () => {
  it("lists the options that createGuard takes, their defaults, and the gates", () => {
    expect(checkGuardOptions(readPage(text))).toEqual([]);
  });

  it.each([
    ["a missing option", ["| `optIn` |", "| |"], "optIn is not documented"],
    [
      "an invented option",
      ["| `optIn` |", "| `optOut` |"],
      "optOut is documented and does not exist",
    ],
    [
      "a default",
      ["| `30000` | one attempt", "| `3000` | one attempt"],
      "timeoutMs: the default is 30000",
    ],
    [
      "a default that is none",
      ["| none | nano-dollars", "| `0` | nano-dollars"],
      "prices: the default is none",
    ],
    ["what is required", ["| `failed` | required |", "| `failed` | none |"], "failed is required"],
    [
      "what is not required",
      ["| `measure` | none |", "| `measure` | required |"],
      "measure is not required",
    ],
    [
      "an option of the budget",
      ["`callsPerRun`", "`calls`"],
      "budget: callsPerRun is not documented",
    ],
    [
      "a default of the breaker",
      ["| `0.5` |", "| `0.6` |"],
      "breaker: errorRate: the default is 0.5",
    ],
    [
      "an option of the tripwire",
      ["`minSubjects`", "`subjects`"],
      "tripwire: minSubjects is not documented",
    ],
    [
      "an option of the route",
      ["| `environment` |", "| `stage` |"],
      "route: environment is not documented",
    ],
    [
      "a default of the route",
      ['| `"default"` | one of', '| `"failover"` | one of'],
      'route: strategy: the default is "default"',
    ],
    [
      "a default of the retries",
      ["| `0.2` |", "| `0.5` |"],
      "retry: budgetRatio: the default is 0.2",
    ],
    [
      "a default of streams",
      ["| `65536` |", "| `1048576` |"],
      "stream: bufferBytes: the default is 65536",
    ],
    [
      "a missing option of the tool queue",
      ["| `maxWaiting` |", "| |"],
      "toolQueue: maxWaiting is not documented",
    ],
    [
      "an invented field of a candidate",
      ["| `promptTemplateVersion` |", "| `promptVersion` |"],
      "candidate: promptVersion is documented and does not exist",
    ],
    [
      "a default of a candidate",
      ["| `weight` | `1` |", "| `weight` | `100` |"],
      "candidate: weight: the default is 1",
    ],
    ["a missing strategy", ["| `weighted` |", "| |"], "weighted is not documented"],
    ["a missing gate", ["| `opt-in` | divert", "| | divert"], "opt-in is not documented"],
    ["a member of a request", ["| `requestId` |", "| |"], "request: requestId is not documented"],
    [
      "an option of the shadow",
      ["| `costNanoUsdPerDay` |", "| `costPerDay` |"],
      "shadow: costNanoUsdPerDay is not documented",
    ],
    ["a member of the guard", ["| `giveUp` |", "| |"], "giveUp is not documented"],
    ["a gate's mode", ["`TRIPPED` | always enforced", "`TRIPPED` | 〃"], "kill-switch has no mode"],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkGuardOptions(readPage(plant(text, good, bad)))).toContain(fault);
  });

  it("is held to the order of the gates", () => {
    const [first, second] = ["| `allowlist` | divert", "| `rollout` | divert"];
    const swapped = plant(plant(plant(text, first, "?"), second, first), "?", second);
    expect(checkGuardOptions(readPage(swapped))).toEqual(["the gates are in another order"]);
  });
});
