import { ConfigError } from "@sluice/contract";
import { fakeProvider, sampleFeature, type SampleJob } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createGuard, memoryAdmission, staticFlags } from "./index.ts";

const good = {
  ...sampleFeature,
  provider: fakeProvider<SampleJob>({ model: "model-1" }),
  flags: staticFlags({}),
};

/** What creating a guard with these options says; undefined where it is content. */
function saidOf(options: unknown): string | undefined {
  try {
    createGuard(options as typeof good).close();
    return undefined;
  } catch (error) {
    if (!ConfigError.isInstance(error)) return `no ConfigError: ${String(error)}`;
    return error.message;
  }
}

const generate = () => Promise.reject(new Error("never called"));
const caps = { maxOutputTokens: 100 };
const price = { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 };
const capsMoney = memoryAdmission({ globalBudget: { costNanoUsd: 5 } });

/** An option, what is given for it, and the line that is said. */
const faults: readonly (readonly [object, string])[] = [
  [{ nope: 1 }, "createGuard.nope: got an unknown option, expected only documented options"],
  [
    { feature: "Chat-AI" },
    `createGuard.feature: got "Chat-AI", expected a lower-case letter, then at most 62 lower-case letters, digits or _`,
  ],
  [{ feature: undefined }, "createGuard.feature: got nothing, expected a value of type string"],
  [
    { contract: {} },
    "createGuard.contract: got an object, expected a contract made by defineContract",
  ],
  [{ failed: undefined }, "createGuard.failed: got nothing, expected a function"],
  [{ stub: null }, "createGuard.stub: got null, expected a function"],
  [
    { provider: undefined },
    "createGuard.provider: got nothing, expected either a provider or a route",
  ],
  [{ provider: { name: "p" } }, "createGuard.provider: got an object, expected a provider"],
  [
    { provider: { generate } },
    "createGuard.provider.name: got nothing, expected 1 to 128 characters on one line",
  ],
  [
    { provider: { name: "", generate } },
    `createGuard.provider.name: got "", expected 1 to 128 characters on one line`,
  ],
  [
    { provider: { name: "p\nq", generate } },
    `createGuard.provider.name: got "p\\nq", expected 1 to 128 characters on one line`,
  ],
  [
    { provider: { name: "p", model: "m".repeat(129), generate } },
    `createGuard.provider.model: got "${"m".repeat(60)}…", expected 1 to 128 characters on one line`,
  ],
  [
    { provider: { name: "p", generate }, budget: { tokensPerRun: 9, ...caps } },
    "createGuard.provider: got a provider without inputTokens, expected one with it, because the budget caps tokens or cost and must count the prompt",
  ],
  [{ flags: {} }, "createGuard.flags: got an object, expected a flag source"],
  [
    { onFailure: undefined },
    `createGuard.onFailure: got nothing, expected one of "failed", "stub"`,
  ],
  [{ onFailure: "retry" }, `createGuard.onFailure: got "retry", expected one of "failed", "stub"`],
  [{ measures: 1 }, "createGuard.measures: got 1, expected a z.strictObject"],
  [
    { measures: z.strictObject({ title: z.string() }) },
    "createGuard.measures.title: got string, expected a number, a boolean or an enum",
  ],
  [{ measure: 1 }, "createGuard.measure: got 1, expected a function"],
  [{ optIn: true }, "createGuard.optIn: got true, expected a function"],
  [
    { allowlist: [{}] },
    "createGuard.allowlist.0: got an object, expected at least one attribute: an empty rule would permit everybody",
  ],
  [{ allowlist: [""] }, `createGuard.allowlist.0: got "", expected at least 1`],
  [
    { allowlistMode: "only" },
    `createGuard.allowlistMode: got "only", expected one of "require", "include"`,
  ],
  [
    { budget: caps },
    "createGuard.budget: got no cap, expected callsPerRun, tokensPerRun or costNanoUsdPerRun",
  ],
  [
    { budget: { callsPerRun: 5 } },
    "createGuard.budget.maxOutputTokens: got nothing, expected a value of type number",
  ],
  [
    { budget: { ...caps, callsPerRun: -1 } },
    "createGuard.budget.callsPerRun: got -1, expected at least 0",
  ],
  [
    { budget: { ...caps, tokensPerRun: Number.NaN } },
    "createGuard.budget.tokensPerRun: got NaN, expected a value of type number",
  ],
  [
    { budget: { ...caps, costNanoUsdPerRun: 5 } },
    `createGuard.prices: got no price for the model "model-1", expected one, because budget.costNanoUsdPerRun is set`,
  ],
  [
    { budget: { ...caps, costNanoUsdPerRun: 5 }, prices: { "model-2": price } },
    `createGuard.prices: got no price for the model "model-1", expected one, because budget.costNanoUsdPerRun is set`,
  ],
  [
    { prices: { "model-1": { ...price, inputNanoUsdPerToken: 0.15 } } },
    "createGuard.prices.model-1.inputNanoUsdPerToken: got 0.15, expected a value of type int",
  ],
  [{ breaker: { errorRate: 2 } }, "createGuard.breaker.errorRate: got 2, expected at most 0.99"],
  [
    { breaker: { openMs: Number.POSITIVE_INFINITY } },
    "createGuard.breaker.openMs: got Infinity, expected a value of type number",
  ],
  [{ admission: {} }, "createGuard.admission: got an object, expected an admission store"],
  [
    { tripwire: { errorRate: { max: 0.5 } } },
    `createGuard.tripwire.scope: got nothing, expected one of "run", "process"`,
  ],
  [
    { tripwire: { scope: "run", errorRate: { max: 1 } } },
    "createGuard.tripwire.errorRate.max: got 1, expected less than 1",
  ],
  [
    { tripwire: { scope: "run" } },
    "createGuard.tripwire: got no condition, expected errorRate, latency or schemaFailures",
  ],
  [
    { tripwire: { scope: "process", schemaFailures: { max: 0 }, minSubjects: 1 } },
    "createGuard.tripwire.minSubjects: got 1, expected at least 2",
  ],
  [
    { tripwire: { scope: "run", errorRate: { max: 0.5 }, windowCalls: 10 } },
    "createGuard.tripwire.windowCalls: got 10, expected at least the 20 of errorRate.minCalls, or it never trips",
  ],
  [
    {
      tripwire: {
        scope: "run",
        latency: { p95CeilingMs: 5, minCalls: 500 },
        windowCalls: 200,
      },
    },
    "createGuard.tripwire.windowCalls: got 200, expected at least the 500 of latency.minCalls, or it never trips",
  ],
  [
    { tripwire: { scope: "run", schemaFailures: { max: 200 } } },
    "createGuard.tripwire.windowCalls: got 200, expected at least the 201 of schemaFailures.max + 1, or it never trips",
  ],
  [
    {
      tripwire: { scope: "process", schemaFailures: { max: 0 }, windowCalls: 5, minSubjects: 6 },
    },
    "createGuard.tripwire.windowCalls: got 5, expected at least the 6 of minSubjects, or it never trips",
  ],
  [
    { gates: { "kill-switch": { mode: "off" } } },
    "createGuard.gates.kill-switch: got an unknown option, expected only documented options",
  ],
  [
    { gates: { "feature-flag": { mode: "shadow" } } },
    "createGuard.gates.feature-flag: got an unknown option, expected only documented options",
  ],
  [
    { gates: { rollout: { mode: "on" } } },
    `createGuard.gates.rollout.mode: got "on", expected one of "off", "shadow", "enforce"`,
  ],
  [
    { gates: { budget: { onIndeterminate: "fail" } } },
    `createGuard.gates.budget.onIndeterminate: got "fail", expected one of "open", "closed"`,
  ],
  [{ timeoutMs: 0 }, "createGuard.timeoutMs: got 0, expected at least 1"],
  [{ maxStalenessMs: 1 }, "createGuard.maxStalenessMs: got 1, expected at least 100"],
  [
    { budget: caps, admission: capsMoney },
    `createGuard.prices: got no price for the model "model-1", expected one, because the admission store caps money`,
  ],
  [
    {
      provider: undefined,
      route: { providers: [good.provider], candidates: [{ provider: "fake" }] },
      budget: caps,
      admission: capsMoney,
    },
    "createGuard.prices: got none, expected one for each model of the route, because the admission store caps money",
  ],
  [
    {
      provider: undefined,
      route: { providers: [good.provider], candidates: [{ provider: "fake" }] },
      budget: { ...caps, costNanoUsdPerRun: 5 },
      prices: {},
    },
    "createGuard.prices: got none, expected one for each model of the route, because budget.costNanoUsdPerRun is set",
  ],
  [{ sinks: [1] }, "createGuard.sinks.0: got 1, expected a function"],
  [
    { sinks: [Object.assign(() => undefined, { subscribesTo: ["outcome", "alarm"] })] },
    "createGuard.sinks.0: got a function, expected a sink whose subscribesTo, if any, lists some of decision, outcome, disabled_noop, alert",
  ],
  [{ openTelemetry: 1 }, "createGuard.openTelemetry: got 1, expected a value of type boolean"],
  [{ clock: Date }, "createGuard.clock: got a function, expected a clock"],
  [{ newId: 1 }, "createGuard.newId: got 1, expected a function"],
];

describe("a guard's options", () => {
  it("are accepted where they are good", () => {
    expect(saidOf(good)).toBeUndefined();
    expect(
      saidOf({
        ...good,
        allowlist: [],
        budget: { ...caps, costNanoUsdPerRun: 5 },
        prices: { "model-1": price },
        tripwire: { scope: "process", schemaFailures: { max: 0 } },
        gates: { rollout: { mode: "shadow", onIndeterminate: "open" } },
      }),
    ).toBeUndefined();
    expect(
      saidOf({ ...good, budget: caps, admission: capsMoney, prices: { "model-1": price } }),
    ).toBeUndefined();
    // Calls and tokens need no price.
    const capsTokens = memoryAdmission({ userBudget: { tokens: 5 } });
    expect(saidOf({ ...good, budget: caps, admission: capsTokens })).toBeUndefined();
  });

  it.each(faults)("say in one line which is wrong: %j", (fault, line) => {
    expect(saidOf({ ...good, ...fault })).toBe(line);
  });

  it("never say more than one line", () => {
    for (const [fault] of faults) expect(saidOf({ ...good, ...fault })).not.toMatch(/[\r\n]/);
  });

  it.each([
    [undefined, "createGuard: got nothing, expected a value of type object"],
    [null, "createGuard: got null, expected a value of type object"],
    ["options", `createGuard: got "options", expected a value of type object`],
  ])("are needed: %j", (options, line) => {
    expect(saidOf(options)).toBe(line);
  });
});

const withFailed = (failed: unknown) => saidOf({ ...good, failed });

describe("the FAILED value", () => {
  it("of every code is parsed at the start, and the line names the code and the path", () => {
    const line =
      /^createGuard\.failed\(PROVIDER_TIMEOUT\)\.code: got a value that does not parse under the contract's failed member, expected /;
    expect(withFailed(() => ({ status: "FAILED" }))).toMatch(line);
    expect(withFailed(() => ({ status: "FAILED", code: "OOPS" }))).toMatch(line);
  });

  it("that fails for a single code is refused for it", () => {
    const said = withFailed((failure: { code: string }) => ({
      status: "FAILED",
      code: failure.code === "CONTENT_FILTERED" ? "FILTERED" : failure.code,
    }));
    expect(said).toMatch(/^createGuard\.failed\(CONTENT_FILTERED\)\.code: /);
  });

  it.each([
    ["no object", () => undefined, /^createGuard\.failed\(PROVIDER_TIMEOUT\): /],
    ["another member", () => ({ status: "STUB", text: "" }), /\(PROVIDER_TIMEOUT\)\.status: /],
    ["a promise", () => Promise.resolve({ status: "FAILED" }), /\(PROVIDER_TIMEOUT\)\.status: /],
  ])("can't be %s", (_, failed, line) => {
    expect(withFailed(failed)).toMatch(line);
  });

  it("can't be made by a function that throws; what it threw is not said", () => {
    const said = withFailed(() => {
      throw new Error("sentinel");
    });
    expect(said).toBe(
      "createGuard.failed(PROVIDER_TIMEOUT): got a function that throws, expected a FAILED value",
    );
  });

  it("I2 can't be under a contract whose failed member turns it into what does not parse", () => {
    const { contract } = sampleFeature;
    const failed = z.object({ status: z.literal("FAILED"), code: z.string().transform(() => 5) });
    expect(saidOf({ ...good, contract: { ...contract, failed } })).toBe(
      "createGuard.failed(PROVIDER_TIMEOUT): got a value that no longer parses once it has been parsed, expected a failed member without transforms",
    );
  });

  it("can't be under a contract whose failed member throws", () => {
    const { contract } = sampleFeature;
    const failed = contract.failed.refine(() => Promise.resolve(true));
    expect(saidOf({ ...good, contract: { ...contract, failed } })).toMatch(
      /^createGuard\.failed\(PROVIDER_TIMEOUT\): got a schema that throws, expected /,
    );
  });
});
