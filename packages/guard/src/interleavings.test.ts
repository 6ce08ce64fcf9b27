import type {
  Decision,
  FailureCode,
  MetricSample,
  Outcome,
  ProviderReply,
  Usage,
} from "@sluice/contract";
import {
  errorReply,
  fakeAdmissionStore,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleContract,
  sampleFeature,
  sampleStub,
  textReply,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createGuard, memoryAdmission, staticFlags } from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

type SampleOutcome = Outcome<unknown, unknown, unknown>;

const caps = { callsPerRun: 6, tokensPerRun: 500, costNanoUsdPerRun: 200_000 };
const price = { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 };
const promptTokens = 10;
const places = 3;
const openMs = 5000;

const answers = [
  "value",
  "text",
  "untold usage",
  "not json",
  "not of the contract",
  "malformed reply",
  "throw",
  "PROVIDER_UNAVAILABLE",
  "PROVIDER_RATE_LIMITED",
  "CONTENT_FILTERED",
  "never dispatched",
] as const;
type Answer = (typeof answers)[number];

interface Shape {
  readonly admission: "memory" | "remote";
  readonly stub: "good" | "throws" | "rejects" | "invalid";
  readonly onFailure: "failed" | "stub";
  readonly observer: "good" | "throws" | "rejects" | "hangs";
  readonly tripwire: "none" | "run" | "process";
}

type Action =
  | { readonly do: "run" | "decide"; readonly subject: number; readonly run: number }
  | { readonly do: "run aborted"; readonly subject: number; readonly run: number }
  | { readonly do: "execute" | "execute elsewhere" | "give up" | "abort"; readonly which: number }
  | {
      readonly do: "answer";
      readonly which: number;
      readonly answer: Answer;
      readonly used: number;
    }
  | { readonly do: "admit" | "unavailable" | "admission fails"; readonly which: number }
  | { readonly do: "kill" | "restore" | "flag kill" | "flag restore" | "reset tripwire" }
  | { readonly do: "advance"; readonly ms: number };

const which = fc.oneof(fc.constant(0), fc.nat(5), fc.nat(20));
const requester = { subject: fc.nat(2), run: fc.nat(2) };

const actions: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("run" as const), ...requester }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("decide" as const), ...requester }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("run aborted" as const), ...requester }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom("execute" as const, "execute", "execute elsewhere", "give up", "abort"),
      which,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("answer" as const),
      which,
      answer: fc.constantFrom(...answers),
      used: fc.nat(100),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom("admit" as const, "admit", "admit", "unavailable", "admission fails"),
      which,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "kill" as const,
        "restore",
        "restore",
        "flag kill",
        "flag restore",
        "flag restore",
        "reset tripwire",
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.constantFrom(20, 500, 1000, 31_000),
    }),
  },
);

const shapes: fc.Arbitrary<Shape> = fc.record({
  admission: fc.constantFrom("memory", "remote"),
  stub: fc.constantFrom("good", "good", "throws", "rejects", "invalid"),
  onFailure: fc.constantFrom("failed", "stub"),
  observer: fc.constantFrom("good", "throws", "rejects", "hangs"),
  tripwire: fc.constantFrom("none", "none", "run", "process"),
});

const stubs: Readonly<Record<Shape["stub"], () => typeof sampleStub | Promise<never>>> = {
  good: () => sampleStub,
  throws: () => {
    throw new Error("planted");
  },
  rejects: () => Promise.reject(new Error("planted")),
  invalid: () => ({ status: "STUB" }) as never,
};

const { promise: never } = Promise.withResolvers<never>();

const observers: Readonly<Record<Shape["observer"], () => unknown>> = {
  good: () => undefined,
  throws: () => {
    throw new Error("planted");
  },
  rejects: () => Promise.reject(new Error("planted")),
  hangs: () => never,
};

function replyOf(answer: Answer, usage: Usage): ProviderReply {
  switch (answer) {
    case "value":
      return valueReply(sampleAnswer, usage);
    case "text":
      return textReply(JSON.stringify(sampleAnswer), usage);
    case "untold usage":
      return valueReply(sampleAnswer);
    case "not json":
      return textReply("sorry", usage);
    case "not of the contract":
      return valueReply({ status: "OK" }, usage);
    case "malformed reply":
    case "throw":
      return undefined as never;
    case "never dispatched":
      return errorReply("PROVIDER_UNAVAILABLE", { dispatched: false });
    case "PROVIDER_UNAVAILABLE":
    case "PROVIDER_RATE_LIMITED":
    case "CONTENT_FILTERED":
      return errorReply(answer, { usage });
  }
}

/** Answers whose usage is charged; of the others the worst case is, or nothing. */
const tellsUsage: ReadonlySet<Answer> = new Set<Answer>([
  "value",
  "text",
  "not json",
  "not of the contract",
  "PROVIDER_UNAVAILABLE",
  "PROVIDER_RATE_LIMITED",
  "CONTENT_FILTERED",
]);

const stopped: ReadonlySet<FailureCode | undefined> = new Set<FailureCode>([
  "KILLED",
  "CLIENT_ABORTED",
  "PROVIDER_TIMEOUT",
]);

/** One request, from its question to its end. */
interface Asked {
  readonly run: string | undefined;
  readonly controller: AbortController;
  decision: Decision | undefined;
  /** Executed or given up: nothing else may become of it. */
  claimed: boolean;
  outcome: SampleOutcome | undefined;
}

interface Called {
  readonly call: FakeCall<SampleJob>;
  answer: Answer | undefined;
  usage: Usage | undefined;
}

/** One of the items, 0 the latest. */
function latest<T>(items: readonly T[], index: number): T | undefined {
  return items.at(-1 - (index % (items.length || 1)));
}

/** A guard, everything around it, and what happened. */
class World {
  readonly clock = new FakeClock();
  readonly record = recordingSink();
  readonly samples: MetricSample[] = [];
  readonly asked: Asked[] = [];
  readonly called: Called[] = [];
  readonly broken: string[] = [];
  readonly flags = staticFlags({ sample_ai: { enabled: true } });
  readonly memory = memoryAdmission({ globalInFlight: { limit: places }, clock: this.clock });
  readonly remote = fakeAdmissionStore({ limit: places });
  readonly shape: Shape;
  readonly guard;
  readonly elsewhere;
  #killed = false;
  #flagKilled = false;

  constructor(shape: Shape) {
    this.shape = shape;
    const provider = fakeProvider<SampleJob>({
      model: "model-1",
      inputTokens: () => promptTokens,
      onCall: (call) => this.#onCall(call),
    });
    const options = {
      ...sampleFeature,
      onFailure: shape.onFailure,
      stub: stubs[shape.stub],
      provider,
      flags: this.flags,
      clock: this.clock,
      admission: shape.admission === "memory" ? this.memory : this.remote,
      budget: { ...caps, maxOutputTokens: 100 },
      prices: { "model-1": price },
      breaker: { minCalls: 4, openMs },
      ...(shape.tripwire === "none"
        ? {}
        : {
            tripwire: { scope: shape.tripwire, schemaFailures: { max: 1 }, minSubjects: 2 },
          }),
      sinks: [observers[shape.observer], this.record.sink],
      metrics: (sample: MetricSample) => {
        this.samples.push(sample);
        return observers[shape.observer]();
      },
      timeoutMs: 2000,
      // One call a request, so that the model of what was charged stays one of single calls.
      retry: { maxRetries: 0 },
    };
    this.guard = createGuard(options);
    this.elsewhere = createGuard(options);
  }

  get isKilled(): boolean {
    return this.#killed || this.#flagKilled;
  }

  #onCall(call: FakeCall<SampleJob>): void {
    if (this.isKilled) this.broken.push("I1 a call started while the feature was killed");
    this.called.push({ call, answer: undefined, usage: undefined });
  }

  async perform(action: Action): Promise<void> {
    switch (action.do) {
      case "run":
      case "run aborted":
      case "decide":
        this.#ask(action);
        break;
      case "execute":
        this.#execute(action.which);
        break;
      case "execute elsewhere":
        await this.#executeElsewhere(action.which);
        break;
      case "give up":
        this.#giveUp(action.which);
        break;
      case "abort":
        latest(this.asked, action.which)?.controller.abort();
        break;
      case "answer":
        this.#answer(latest(this.called, action.which), action.answer, action.used);
        break;
      case "admit":
        latest(this.remote.pending, action.which)?.answer();
        break;
      case "unavailable":
        latest(this.remote.pending, action.which)?.unavailable();
        break;
      case "admission fails":
        latest(this.remote.pending, action.which)?.fail(new Error("planted"));
        break;
      case "kill":
        this.#killed = true;
        this.guard.kill();
        this.#expectAborted();
        break;
      case "restore":
        this.#killed = false;
        this.guard.restore();
        break;
      case "flag kill":
        this.#flagKilled = true;
        this.flags.set("sample_ai", { killed: true });
        this.#expectAborted();
        break;
      case "flag restore":
        this.#flagKilled = false;
        this.flags.set("sample_ai", { killed: false });
        break;
      case "reset tripwire":
        this.guard.resetTripwire();
        break;
      case "advance":
        await this.clock.advanceAsync(action.ms);
        break;
    }
    // Sometimes the next action comes before what this one caused has gone on.
    if (action.do === "advance" || this.asked.length % 2 === 0) await this.clock.advanceAsync(0);
    this.#expectWithinCaps();
  }

  #ask(action: Extract<Action, { subject: number }>): void {
    const asked: Asked = {
      run: action.run === 0 ? undefined : `run-${action.run}`,
      controller: new AbortController(),
      decision: undefined,
      claimed: action.do !== "decide",
      outcome: undefined,
    };
    const index = this.asked.push(asked) - 1;
    if (action.do === "run aborted") asked.controller.abort();
    const request = {
      subject: `subject-${action.subject}`,
      run: asked.run,
      signal: asked.controller.signal,
    };
    const job = { prompt: String(index) };
    if (action.do !== "decide") {
      void this.#follow(asked, this.guard.run(job, request));
      return;
    }
    const decision = this.guard.decide(job, request);
    if (decision instanceof Promise) void this.#await(asked, decision);
    else asked.decision = decision;
  }

  async #await(asked: Asked, decision: Promise<Decision>): Promise<void> {
    asked.decision = await decision;
  }

  async #follow(asked: Asked, running: Promise<SampleOutcome>): Promise<void> {
    try {
      asked.outcome = await running;
      asked.decision ??= asked.outcome.decision;
    } catch {
      this.broken.push("an execution rejected");
    }
  }

  #execute(index: number): void {
    const asked = latest(this.asked, index);
    if (asked?.decision === undefined) return;
    const running = this.guard.execute(asked.decision);
    if (asked.claimed) {
      void running.then(
        () => this.broken.push("a decision was executed twice"),
        () => undefined,
      );
      return;
    }
    asked.claimed = true;
    void this.#followLate(asked, running);
  }

  /** A decision that waited for half a minute was given up meanwhile. */
  async #followLate(asked: Asked, running: Promise<SampleOutcome>): Promise<void> {
    try {
      asked.outcome = await running;
    } catch (error) {
      if (!(error instanceof TypeError)) this.broken.push("an execution rejected");
    }
  }

  async #executeElsewhere(index: number): Promise<void> {
    const decision = latest(this.asked, index)?.decision;
    if (decision === undefined) return;
    await this.elsewhere.execute(decision).then(
      () => this.broken.push("a decision of another guard was executed"),
      () => undefined,
    );
  }

  #giveUp(index: number): void {
    const asked = latest(this.asked, index);
    if (asked?.decision === undefined) return;
    this.guard.giveUp(asked.decision);
    this.guard.giveUp(asked.decision);
    asked.claimed = true;
  }

  #answer(called: Called | undefined, answer: Answer, used: number): void {
    if (called === undefined || called.answer !== undefined) return;
    const { asked } = called.call;
    called.answer = answer;
    called.usage = {
      inputTokens: promptTokens,
      outputTokens: Math.min(used, asked.maxOutputTokens ?? 0),
    };
    if (answer === "throw") called.call.fail(new Error("planted"));
    else called.call.reply(replyOf(answer, called.usage));
  }

  /** I1: of every call that has no answer yet. */
  #expectAborted(): void {
    for (const { call, answer } of this.called) {
      if (answer === undefined && !call.asked.signal.aborted) {
        this.broken.push("I1 a call was not aborted by the kill");
      }
    }
  }

  #expectWithinCaps(): void {
    for (const run of ["run-1", "run-2"]) {
      const use = this.guard.budget.use(run);
      const within =
        use.calls <= caps.callsPerRun &&
        use.tokens <= caps.tokensPerRun &&
        use.costNanoUsd <= caps.costNanoUsdPerRun &&
        use.calls >= 0 &&
        use.tokens >= 0 &&
        use.costNanoUsd >= 0;
      if (!within) this.broken.push(`I3 ${run} used ${JSON.stringify(use)}`);
    }
  }

  /** Lets everything come to its end. */
  async end(): Promise<void> {
    while (this.remote.pending.length > 0) {
      this.remote.pending[0]?.answer();
      await this.clock.advanceAsync(0);
    }
    for (const called of this.called) this.#answer(called, "value", 5);
    // Calls that were answered with nothing time out, decisions that nobody executes are given up.
    await this.clock.advanceAsync(32_000);
    this.guard.flush();
  }

  /** What a run must be charged by what the provider told, request by request. */
  chargeOf(run: string): { calls: number; tokens: number; costNanoUsd: number } {
    const sum = { calls: 0, tokens: 0, costNanoUsd: 0 };
    for (const { call, answer, usage } of this.called) {
      const asked = this.asked[Number(call.asked.input.prompt)];
      if (asked?.run !== run) continue;
      const wasStopped = stopped.has(asked.outcome?.record.attempts[0]?.code);
      if (!wasStopped && answer === "never dispatched") continue;
      const told = !wasStopped && answer !== undefined && tellsUsage.has(answer);
      const { inputTokens, outputTokens } = (told ? usage : call.asked.reserved) ?? {
        inputTokens: 0,
        outputTokens: 0,
      };
      sum.calls += 1;
      sum.tokens += inputTokens + outputTokens;
      sum.costNanoUsd +=
        inputTokens * price.inputNanoUsdPerToken + outputTokens * price.outputNanoUsdPerToken;
    }
    return sum;
  }
}

function expectParses(outcome: SampleOutcome): void {
  if (outcome.status === "REJECTED") return;
  const member =
    outcome.status === "SUCCEEDED"
      ? sampleContract.ok
      : outcome.status === "STUBBED" || outcome.record.fallbackUsed
        ? sampleContract.stub
        : sampleContract.failed;
  expect(member.safeParse(outcome.value).success).toBe(true);
}

/** The ids of the decisions of an open feature, sorted. */
function openIds(asked: readonly Asked[]): readonly string[] {
  return asked
    .flatMap(({ decision }) => (decision?.closed === false ? [decision.id] : []))
    .toSorted();
}

/** I11: each request of an open feature has one decision and, executed, one outcome. */
function expectEventsOf({ record, samples, asked }: World): void {
  const decided = record.of("decision").map((event) => event.decision_id);
  const ended = record.of("outcome").map((event) => event.decision_id);
  expect(decided.toSorted()).toEqual(openIds(asked));
  expect(ended.toSorted()).toEqual(openIds(asked.filter((one) => one.outcome !== undefined)));
  expect(record.of("disabled_noop")).toHaveLength(
    asked.filter(({ decision }) => decision?.closed === true).length,
  );
  for (const event of record.of("outcome")) {
    expect(event.selected_provider !== undefined).toBe(event.attempts.length > 0);
    expect(event.fallback_used && event.path !== "stub").toBe(false);
  }
  const effects = new Map(
    record.of("decision").map(({ decision_id, effect }) => [decision_id, effect]),
  );
  expect(samples.filter((sample) => sample.kind === "outcome")).toMatchObject(
    record.of("outcome").map(({ decision_id, outcome, fallback_used }) => ({
      arm: { allow: "ai", divert: "stub", reject: "none" }[effects.get(decision_id) ?? "allow"],
      outcome,
      fallbackUsed: fallback_used,
    })),
  );
}

async function expectNothingHeld(world: World): Promise<void> {
  const { guard, memory, remote, clock, shape } = world;
  expect(guard.inFlight).toBe(0);
  expect(remote.held).toBe(0);
  const taken = Array.from({ length: places }, () => memory.acquire("somebody"));
  for (const reply of taken) expect(reply).toMatchObject({ admitted: true });
  for (const reply of taken) {
    if (typeof reply === "object" && "lease" in reply) reply.lease.release();
  }
  for (const run of ["run-1", "run-2"]) expect(guard.budget.use(run)).toEqual(world.chargeOf(run));

  // The breaker is not wedged: once its time has passed, good calls close it.
  guard.restore();
  guard.resetTripwire();
  world.flags.set("sample_ai", { killed: false });
  vi.advanceTimersByTime(openMs);
  for (let i = 0; i < 5 && guard.describe().providers[0]?.breaker !== "closed"; i += 1) {
    const running = guard.run({ prompt: "after" }, { subject: "after" });
    if (shape.admission === "remote") world.remote.pending[0]?.answer();
    await clock.advanceAsync(0);
    world.called.at(-1)?.call.reply(valueReply(sampleAnswer));
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
  }
  expect(guard.describe().providers[0]?.breaker).toBe("closed");
}

describe("over random interleavings of everything that can happen to requests", () => {
  it("I1 I2 I3 I4 I8 I11 I14 hold", { timeout: 60_000 }, async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.array(actions, { minLength: 5, maxLength: 60, size: "max" }),
        async (shape, trace) => {
          const world = new World(shape);
          try {
            for (const action of trace) await world.perform(action);
            await world.end();
            expect(world.broken).toEqual([]);
            for (const { outcome, claimed, decision } of world.asked) {
              expect(decision).toBeDefined();
              const word =
                outcome === undefined ? `none, ${claimed}` : `${outcome.status} ${outcome.path}`;
              seen.set(word, (seen.get(word) ?? 0) + 1);
              if (outcome !== undefined) expectParses(outcome);
            }
            expectEventsOf(world);
            await expectNothingHeld(world);
          } finally {
            world.guard.close();
            world.elsewhere.close();
          }
        },
      ),
      { numRuns: 800 },
    );
    // The traces reach every end there is.
    expect([...seen.keys()].toSorted()).toEqual([
      "FAILED ai",
      "FAILED stub",
      "REJECTED none",
      "STUBBED stub",
      "SUCCEEDED ai",
      "none, false",
      "none, true",
    ]);
  });
});
