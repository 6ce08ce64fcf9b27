import type { MeasuresSchema, ProviderReply, Reason } from "@sluice/contract";
import { FailureCode, failureCodes } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleContract,
  sampleFeature,
  sampleStub,
  textReply,
  valueReply,
  type FakeProviderOptions,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createGuard, memoryAdmission, staticFlags, type GuardOptions } from "./index.ts";

type SampleOptions = GuardOptions<
  SampleJob,
  typeof sampleContract.ok,
  typeof sampleContract.failed,
  typeof sampleContract.stub,
  MeasuresSchema
>;

const price = { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 };
const job: SampleJob = { prompt: "p" };
const request = { subject: "alice", run: "run" };

/** An open feature with every kind of hold. */
function openGuard(
  more: Partial<SampleOptions> = {},
  behaviour: FakeProviderOptions<SampleJob> = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const provider = fakeProvider<SampleJob>({
    model: "model-1",
    inputTokens: () => 10,
    ...behaviour,
  });
  const admission = memoryAdmission({ globalInFlight: { limit: 1 }, clock });
  const guard = createGuard<
    SampleJob,
    typeof sampleContract.ok,
    typeof sampleContract.failed,
    typeof sampleContract.stub,
    MeasuresSchema,
    ReturnType<SampleOptions["failed"]>,
    Awaited<ReturnType<SampleOptions["stub"]>>
  >({
    ...sampleFeature,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    admission,
    budget: { callsPerRun: 100, tokensPerRun: 1000, maxOutputTokens: 200 },
    prices: { "model-1": price },
    sinks: [record.sink],
    ...more,
  });
  const events = () => {
    guard.flush();
    return record;
  };
  /** Every hold is given back: the only place can be taken again. */
  const expectNothingHeld = () => {
    expect(guard.inFlight).toBe(0);
    const reply = admission.acquire("bob");
    expect(reply).toMatchObject({ admitted: true });
    if (typeof reply === "object" && "lease" in reply) reply.lease.release();
  };
  return { guard, provider, clock, events, expectNothingHeld };
}

const answering = (reply: ProviderReply): FakeProviderOptions<SampleJob> => ({
  onCall: (call) => call.reply(reply),
});

describe("a provider's answer", () => {
  it.each([
    ["value", valueReply({ ...sampleAnswer, more: "not named by the contract" })],
    ["text", textReply(JSON.stringify(sampleAnswer))],
    ["fenced text", textReply(`\`\`\`json\n${JSON.stringify(sampleAnswer)}\n\`\`\``)],
  ])("that parses is the outcome's value: %s", async (_, reply) => {
    const { guard, expectNothingHeld } = openGuard({}, answering(reply));
    const outcome = await guard.run(job, request);
    expect(outcome).toMatchObject({ status: "SUCCEEDED", path: "ai", value: sampleAnswer });
    expect(outcome).not.toHaveProperty("value.more");
    expectNothingHeld();
  });

  it.each([
    [FailureCode.OUTPUT_NOT_JSON, textReply("sorry")],
    [FailureCode.OUTPUT_SCHEMA_INVALID, textReply("{}")],
    [FailureCode.OUTPUT_SCHEMA_INVALID, valueReply({ ...sampleAnswer, words: -1 })],
    [FailureCode.OUTPUT_SCHEMA_INVALID, valueReply({ status: "FAILED", code: "INTERNAL" })],
    [FailureCode.OUTPUT_SCHEMA_INVALID, valueReply(sampleStub)],
  ])("that does not parse is FAILED with %s", async (code, reply) => {
    const { guard, expectNothingHeld } = openGuard({}, answering(reply));
    expect(await guard.run(job, request)).toMatchObject({
      status: "FAILED",
      path: "ai",
      value: { status: "FAILED", code },
      failure: { code },
    });
    expectNothingHeld();
  });

  it("that is a failure keeps its code, for every code", async () => {
    for (const code of failureCodes) {
      const { guard, expectNothingHeld } = openGuard({}, answering(errorReply(code)));
      const outcome = await guard.run(job, request);
      expect(outcome).toMatchObject({ status: "FAILED", value: { code }, failure: { code } });
      expect(outcome.record.attempts).toMatchObject([{ provider: "fake", code }]);
      expectNothingHeld();
    }
  });

  it("never shares its object between two requests", async () => {
    const { guard } = openGuard({}, answering(errorReply("REFUSED")));
    const [first, second] = [await guard.run(job, request), await guard.run(job, request)];
    expect(first).toMatchObject({ status: "FAILED" });
    expect("value" in first && "value" in second && first.value === second.value).toBe(false);
  });
});

describe("a provider that is defective", () => {
  const broken: readonly (readonly [string, unknown])[] = [
    ["nothing", undefined],
    ["null", null],
    ["a string", "sorry"],
    ["an empty object", {}],
    ["success without an output", { ok: true }],
    ["success with an output of no kind", { ok: true, output: {} }],
    ["success with text that is no text", { ok: true, output: { kind: "text", text: 5 } }],
    ["a failure without a code", { ok: false, dispatched: true }],
    ["a failure of a code that is not one", { ok: false, code: "OOPS", dispatched: true }],
    ["a failure of an inherited name", { ok: false, code: "toString", dispatched: true }],
  ];

  it.each(broken)("answering %s is FAILED with INTERNAL", async (_, reply) => {
    const { guard, events, expectNothingHeld } = openGuard({}, answering(reply as ProviderReply));
    expect(await guard.run(job, request)).toMatchObject({
      status: "FAILED",
      failure: { code: "INTERNAL" },
      value: { code: "INTERNAL" },
    });
    expect(events().of("outcome")).toHaveLength(1);
    expectNothingHeld();
  });

  it("throwing at once, or rejecting, is FAILED with INTERNAL", async () => {
    const throwing = openGuard(
      {},
      {
        onCall: () => {
          throw new Error("defect");
        },
      },
    );
    const rejecting = openGuard({}, { onCall: (call) => call.fail("not even an error") });
    for (const { guard, expectNothingHeld } of [throwing, rejecting]) {
      expect(await guard.run(job, request)).toMatchObject({ failure: { code: "INTERNAL" } });
      expectNothingHeld();
    }
  });

  it.each([
    [{ inputTokens: Number.NaN, outputTokens: 5 }],
    [{ inputTokens: -5, outputTokens: 5 }],
    [{ inputTokens: 1.5, outputTokens: 5 }],
    [{ inputTokens: 5, outputTokens: Number.POSITIVE_INFINITY }],
    [{ inputTokens: 5 }],
    [{ inputTokens: "5", outputTokens: "5" }],
    [null],
    ["many"],
  ])("telling a usage of %j is heard as telling none", async (usage) => {
    const reply = { ...valueReply(sampleAnswer), usage } as ProviderReply;
    const { guard, events } = openGuard({}, answering(reply));
    const outcome = await guard.run(job, request);
    expect(outcome.status).toBe("SUCCEEDED");
    expect(outcome.record).not.toHaveProperty("usage");
    expect(outcome.record).not.toHaveProperty("costNanoUsd");
    expect(events().of("outcome")).toHaveLength(1);
    // What was reserved stays charged whole.
    expect(guard.budget.use("run")).toMatchObject({ calls: 1, tokens: 210 });
  });
});

describe("the call that a provider is given", () => {
  it("has the schema of the object member, the caps, and what is reserved", async () => {
    const { guard, provider } = openGuard({}, answering(valueReply(sampleAnswer)));
    await guard.run(job, request);
    const { asked } = provider.last();
    expect(asked.input).toBe(job);
    expect(asked.schema).toBe(sampleContract.askable);
    expect(asked.maxOutputTokens).toBe(200);
    expect(asked.reserved).toMatchObject({ inputTokens: 10, outputTokens: 200 });
    expect(asked.signal.aborted).toBe(false);
  });

  it("has an output cap lowered to what the run has left", async () => {
    const { guard, provider } = openGuard({}, answering(valueReply(sampleAnswer)));
    guard.budget.restore("run", { calls: 1, tokens: 940, costNanoUsd: 0 });
    await guard.run(job, request);
    expect(provider.last().asked.maxOutputTokens).toBe(50);
    expect(guard.budget.use("run").tokens).toBe(1000);
  });

  it("has an idempotency key of its own", async () => {
    const { guard, provider } = openGuard({}, answering(valueReply(sampleAnswer)));
    await guard.run(job, request);
    await guard.run(job, request);
    const keys = provider.calls.map((call) => call.asked.idempotencyKey);
    expect(new Set(keys).size).toBe(2);
  });

  it("can't give the reservation back that it covers", async () => {
    const { guard, provider } = openGuard({}, answering(valueReply(sampleAnswer)));
    await guard.run(job, request);
    expect(Object.keys(provider.last().asked.reserved ?? {}).toSorted()).toEqual([
      "costNanoUsd",
      "inputTokens",
      "outputTokens",
    ]);
  });
});

describe("real usage", () => {
  const usage = { inputTokens: 7, outputTokens: 30 };

  it("replaces the reservation, and is told with its cost", async () => {
    const { guard, events } = openGuard({}, answering(valueReply(sampleAnswer, usage)));
    const outcome = await guard.run(job, request);
    const cost = 7 * 150 + 30 * 600;
    expect(outcome.record).toMatchObject({ usage, costNanoUsd: cost });
    expect(guard.budget.use("run")).toEqual({ calls: 1, tokens: 37, costNanoUsd: cost });
    expect(events().of("outcome")).toMatchObject([
      { input_tokens: 7, output_tokens: 30, cost_nano_usd: cost },
    ]);
  });

  it("is charged also where the answer does not parse", async () => {
    const { guard } = openGuard({}, answering(textReply("sorry", usage)));
    await guard.run(job, request);
    expect(guard.budget.use("run")).toMatchObject({ calls: 1, tokens: 37 });
  });

  it("that is not told leaves the worst case charged", async () => {
    const { guard } = openGuard({}, answering(errorReply("PROVIDER_UNAVAILABLE")));
    await guard.run(job, request);
    expect(guard.budget.use("run")).toMatchObject({ calls: 1, tokens: 210 });
  });

  it("of a call that was certainly never dispatched is nothing", async () => {
    const reply = errorReply("PROVIDER_UNAVAILABLE", { dispatched: false });
    const { guard, expectNothingHeld } = openGuard({}, answering(reply));
    await guard.run(job, request);
    expect(guard.budget.use("run")).toEqual({ calls: 0, tokens: 0, costNanoUsd: 0 });
    expectNothingHeld();
  });
});

async function circuitAfter(reply: ProviderReply): Promise<string | undefined> {
  const { guard } = openGuard({ breaker: { minCalls: 1 } }, answering(reply));
  await guard.run(job, request);
  const { providers } = guard.describe();
  guard.close();
  return providers[0]?.breaker;
}

describe("what the circuit breaker learns", () => {
  it.each([
    ["open", "PROVIDER_UNAVAILABLE"],
    ["open", "PROVIDER_TIMEOUT"],
    ["closed", "PROVIDER_RATE_LIMITED"],
    ["closed", "PROVIDER_AUTH"],
    ["closed", "PROVIDER_BAD_REQUEST"],
    ["closed", "REFUSED"],
    ["closed", "INTERNAL"],
  ] as const)("leaves it %s after %s", async (state, code) => {
    expect(await circuitAfter(errorReply(code))).toBe(state);
  });

  it("opens it for a provider that can't be reached, although nothing was dispatched", async () => {
    const reply = errorReply("PROVIDER_UNAVAILABLE", { dispatched: false });
    expect(await circuitAfter(reply)).toBe("open");
  });

  it("leaves it closed for an answer that does not parse, and for a key that is missing", async () => {
    expect(await circuitAfter(textReply("sorry"))).toBe("closed");
    expect(await circuitAfter(errorReply("PROVIDER_AUTH", { dispatched: false }))).toBe("closed");
  });
});

describe("the failure policy `stub`", () => {
  it("answers a failed request by the safe path, recorded as fallback with its failure", async () => {
    const { guard, events } = openGuard(
      { onFailure: "stub" },
      answering(errorReply("PROVIDER_UNAVAILABLE")),
    );
    const outcome = await guard.run(job, request);
    expect(outcome).toMatchObject({
      status: "FAILED",
      path: "stub",
      value: sampleStub,
      failure: { code: "PROVIDER_UNAVAILABLE" },
      record: { fallbackUsed: true, selectedProvider: "fake" },
    });
    expect(events().of("outcome")).toMatchObject([
      {
        outcome: "FAILED",
        path: "stub",
        failure_code: "PROVIDER_UNAVAILABLE",
        fallback_used: true,
        selected_provider: "fake",
      },
    ]);
  });

  it("asks no safe path for a caller that went away", async () => {
    let stubs = 0;
    const { guard } = openGuard(
      {
        onFailure: "stub",
        stub: () => {
          stubs += 1;
          return sampleStub;
        },
      },
      { onCall: () => controller.abort() },
    );
    const controller = new AbortController();
    const outcome = await guard.run(job, { ...request, signal: controller.signal });
    expect(outcome).toMatchObject({ status: "FAILED", failure: { code: "CLIENT_ABORTED" } });
    expect(stubs).toBe(0);
  });
});

const killed = (stub: SampleOptions["stub"]) => {
  const made = openGuard({ stub });
  made.guard.kill();
  return made;
};

describe("a stub", () => {
  it.each([
    ["throws", () => Promise.reject(new Error("defect"))],
    [
      "throws at once",
      () => {
        throw new Error("defect");
      },
    ],
    ["returns nothing", () => undefined as never],
    ["returns another status", () => ({ status: "STUBS", text: "" }) as never],
    ["returns the model's member where its own differs", () => sampleAnswer as never],
    ["lacks a key", () => ({ status: "STUB" }) as never],
  ])("that %s is FAILED with INTERNAL, told once", async (_, stub) => {
    const { guard, events } = killed(stub);
    for (let i = 0; i < 3; i += 1) {
      expect(await guard.run(job, request)).toMatchObject({
        status: "FAILED",
        // No model was asked.
        path: "stub",
        value: { status: "FAILED", code: "INTERNAL" },
      });
    }
    const alerts = events().of("alert");
    expect(alerts.filter((alert) => alert.code === "STUB_FAILED")).toHaveLength(1);
  });

  it("that failed, recovered and failed again is told twice", async () => {
    let good = false;
    const { guard, events } = killed(() => {
      if (good) return sampleStub;
      throw new Error("defect");
    });
    await guard.run(job, request);
    good = true;
    expect(await guard.run(job, request)).toMatchObject({ status: "STUBBED", value: sampleStub });
    good = false;
    await guard.run(job, request);
    const alerts = events().of("alert");
    expect(alerts.filter((alert) => alert.code === "STUB_FAILED")).toHaveLength(2);
  });

  it("I2 whose contract turns its value into what does not parse is FAILED with INTERNAL", async () => {
    const stub = z.object({ status: z.literal("STUB"), text: z.string().transform(() => 5) });
    const contract = { ...sampleContract, stub } as unknown as typeof sampleContract;
    const { guard } = openGuard({ contract });
    guard.kill();
    expect(await guard.run(job, request)).toMatchObject({
      status: "FAILED",
      value: { code: "INTERNAL" },
    });
  });

  it("leaves nothing that its contract does not name", async () => {
    const { guard } = killed(() => ({ ...sampleStub, secret: "x" }));
    expect(await guard.run(job, request)).toHaveProperty("value", sampleStub);
  });

  it("that fails under the failure policy leaves the first failure's code", async () => {
    const { guard } = openGuard(
      { onFailure: "stub", stub: () => Promise.reject(new Error("defect")) },
      answering(errorReply("PROVIDER_QUOTA")),
    );
    expect(await guard.run(job, request)).toMatchObject({
      status: "FAILED",
      path: "ai",
      value: { code: "PROVIDER_QUOTA" },
      record: { fallbackUsed: false },
    });
  });
});

describe("a call that takes too long", () => {
  it("is aborted at its time limit and does not wait for a provider that ignores its signal", async () => {
    const { guard, provider, clock, expectNothingHeld } = openGuard({ timeoutMs: 1000 });
    const running = guard.run(job, request);
    clock.advance(999);
    expect(provider.last().asked.signal.aborted).toBe(false);
    clock.advance(1);
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await running).toMatchObject({
      status: "FAILED",
      failure: { code: "PROVIDER_TIMEOUT" },
      record: { latencyMs: 1000, attempts: [{ code: "PROVIDER_TIMEOUT", latencyMs: 1000 }] },
    });
    expectNothingHeld();
    // What it had reserved stays charged: nobody knows what the upstream went on to do.
    expect(guard.budget.use("run")).toMatchObject({ calls: 1, tokens: 210 });
  });

  it("leaves no timer behind, whatever came of it", async () => {
    const { guard, clock } = openGuard({}, answering(valueReply(sampleAnswer)));
    await guard.run(job, request);
    clock.advance(20);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("a caller that goes away", () => {
  it("before the request makes no call and is charged nothing", async () => {
    const { guard, provider, expectNothingHeld } = openGuard();
    const outcome = await guard.run(job, { ...request, signal: AbortSignal.abort() });
    expect(outcome).toMatchObject({ status: "FAILED", failure: { code: "CLIENT_ABORTED" } });
    expect(outcome.record.attempts).toEqual([]);
    expect(provider.calls).toHaveLength(0);
    expect(guard.budget.use("run").calls).toBe(0);
    expectNothingHeld();
  });

  it("during the call aborts it and frees every hold", async () => {
    const controller = new AbortController();
    const { guard, provider, expectNothingHeld } = openGuard();
    const running = guard.run(job, { ...request, signal: controller.signal });
    controller.abort();
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await running).toMatchObject({
      status: "FAILED",
      failure: { code: "CLIENT_ABORTED" },
      record: { attempts: [{ code: "CLIENT_ABORTED" }] },
    });
    expectNothingHeld();
  });

  it("leaves no listener on a signal that outlives the request", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const { guard } = openGuard({}, answering(valueReply(sampleAnswer)));
    for (let i = 0; i < 50; i += 1) await guard.run(job, { ...request, signal });
    expect(listeners).toBe(0);
  });
});

describe("a call that is killed in flight", () => {
  it("is answered by the safe path as a fallback that no provider is blamed for", async () => {
    const { guard, provider, events, expectNothingHeld } = openGuard();
    const running = guard.run(job, request);
    guard.kill();
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await running).toMatchObject({
      status: "STUBBED",
      reason: "KILLED" satisfies Reason,
      value: sampleStub,
      record: { fallbackUsed: true, selectedProvider: "fake", attempts: [{ code: "KILLED" }] },
    });
    expect(events().of("decision")).toHaveLength(1);
    expect(events().of("outcome")).toMatchObject([
      { outcome: "STUBBED", path: "stub", reason: "KILLED", fallback_used: true },
    ]);
    expectNothingHeld();
  });

  it("is STUBBED although the provider answers in the same turn", async () => {
    const { guard, provider } = openGuard();
    const running = guard.run(job, request);
    provider.last().reply(valueReply(sampleAnswer));
    guard.kill();
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
  });

  it("ignores what the provider makes of the abort", async () => {
    const { guard, provider } = openGuard(
      {},
      {
        onCall: (call) =>
          call.asked.signal.addEventListener("abort", () => call.reply(errorReply("INTERNAL"))),
      },
    );
    const running = guard.run(job, request);
    expect(provider.calls).toHaveLength(1);
    guard.kill();
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
  });
});

describe("a contract whose refinement throws", () => {
  it("is FAILED with INTERNAL, told once", async () => {
    const contract = {
      ...sampleContract,
      ok: sampleContract.ok.refine(() => {
        throw new Error("defect");
      }),
    } as typeof sampleContract;
    const { guard, events, expectNothingHeld } = openGuard(
      { contract },
      answering(valueReply(sampleAnswer)),
    );
    await guard.run(job, request);
    expect(await guard.run(job, request)).toMatchObject({ failure: { code: "INTERNAL" } });
    expect(events().of("alert")).toMatchObject([{ code: "DEPENDENCY_THREW" }]);
    expectNothingHeld();
  });
});
