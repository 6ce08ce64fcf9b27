import {
  defineContract,
  type BudgetReply,
  type BudgetStore,
  type Decision,
  type FailureCode,
  type FlagSource,
  type Outcome,
  type ProviderConfig,
  type ProviderEvent,
  type ProviderReply,
  type StreamEvent,
  type Usage,
} from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  textReply,
  type FakeCall,
  type FakeProvider,
} from "@sluice/testkit";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import {
  createGuard,
  memoryAdmission,
  memoryBudgets,
  staticFlags,
  type GuardStream,
  type HandedOver,
} from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

const members = {
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
};
const forbidden = "secret";
const contracts = {
  text: defineContract({
    ok: members.ok,
    failed: members.failed,
    stub: members.stub,
    text: { field: "reply", maxChars: 300, forbidden: [forbidden] },
  }),
  structured: defineContract({ ok: members.ok, failed: members.failed, stub: members.stub }),
};
const stub = { status: "STUB", reply: "a person answers" } as const;

const feature = "chat_ai";
const caps = { callsPerRun: 12, tokensPerRun: 1200, costNanoUsdPerRun: 2_000_000 };
const prices = {
  cheap: { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 },
  dear: { inputNanoUsdPerToken: 1500, outputNanoUsdPerToken: 6000 },
};
const promptTokens = 10;
const maxOutputTokens = 100;
const places = 4;
const openMs = 5000;
const names = ["alpha", "beta", "gamma"] as const;

type SampleOutcome = Outcome<unknown, unknown, unknown>;
type Event = StreamEvent<unknown, unknown, unknown>;

interface Shape {
  readonly providers: 2 | 3;
  readonly contract: keyof typeof contracts;
  readonly onFailure: "failed" | "stub";
  /** Whether the flags tell of changes; else the tick has to see them. */
  readonly tells: boolean;
  readonly retryRatio: number;
  readonly strategy: "default" | "weighted" | "failover";
}

const failures = [
  "PROVIDER_UNAVAILABLE",
  "PROVIDER_RATE_LIMITED",
  "PROVIDER_QUOTA",
  "PROVIDER_BAD_REQUEST",
  "REFUSED",
] as const satisfies readonly FailureCode[];
const pieces = ["one ", "a piece", "b", "sec", "ret", "öß", ""] as const;

type Action =
  | { readonly do: "run" | "stream" | "hand over"; readonly subject: number; readonly run: number }
  | { readonly do: "emit"; readonly which: number; readonly piece: string }
  | {
      readonly do: "progress" | "answer" | "finish" | "cut" | "throw" | "untold";
      readonly which: number;
    }
  | {
      readonly do: "fail";
      readonly which: number;
      readonly code: (typeof failures)[number];
      readonly dispatched: boolean;
    }
  | { readonly do: "usage"; readonly which: number; readonly used: number }
  | {
      readonly do: "read" | "leave" | "abort" | "end handed" | "feed handed";
      readonly which: number;
    }
  | { readonly do: "kill" | "restore" | "close" | "open" | "failover" }
  | {
      readonly do: "route";
      readonly order: number;
      readonly retries: number;
      readonly broken: boolean;
    }
  | { readonly do: "advance"; readonly ms: number };

const which = fc.oneof(fc.constant(0), fc.constant(0), fc.nat(4), fc.nat(15));
const of = <D extends string>(...what: readonly D[]) =>
  fc.record({ do: fc.constantFrom(...what), which });

const actions: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom("run" as const, "run", "stream", "stream", "stream", "hand over"),
      subject: fc.nat(3),
      run: fc.nat(2),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constant("emit" as const),
      which,
      piece: fc.constantFrom(...pieces),
    }),
  },
  {
    weight: 14,
    arbitrary: of("answer", "answer", "answer", "finish", "cut", "throw", "untold", "progress"),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      which,
      code: fc.constantFrom("PROVIDER_UNAVAILABLE" as const, ...failures),
      dispatched: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("usage" as const), which, used: fc.nat(100) }),
  },
  { weight: 10, arbitrary: of("read", "read", "read", "leave", "abort") },
  { weight: 3, arbitrary: of("end handed", "feed handed") },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "kill" as const,
        "restore",
        "restore",
        "close",
        "open",
        "open",
        "failover",
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("route" as const),
      order: fc.nat(11),
      retries: fc.nat(2),
      broken: fc.boolean(),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.constantFrom(0, 20, 40, 120, 320, 520, 1100, 5100),
    }),
  },
);

const shapes: fc.Arbitrary<Shape> = fc.record({
  providers: fc.constantFrom(2 as const, 3 as const),
  contract: fc.constantFrom("text", "text", "structured"),
  onFailure: fc.constantFrom("failed", "stub"),
  tells: fc.boolean(),
  retryRatio: fc.constantFrom(0.2, 1),
  strategy: fc.constantFrom("default", "weighted", "failover"),
});

/** One request, from its question to its end. */
interface Asked {
  readonly id: string;
  readonly kind: "run" | "stream" | "hand over";
  readonly controller: AbortController;
  readonly calls: Called[];
  decision: Decision | undefined;
  outcome: SampleOutcome | undefined;
  stream: GuardStream<unknown, unknown, unknown> | undefined;
  reader: AsyncIterator<Event> | undefined;
  readonly events: Event[];
  reading: Promise<boolean>;
  /** The reader went away itself. */
  left: boolean;
  handed: HandedOver | undefined;
  fed: number;
}

interface Called {
  readonly call: FakeCall<string>;
  readonly provider: string;
  /** All text of it. */
  emitted: string;
  /** A terminal event was sent, or the whole answer. */
  ended: "finish" | "other" | undefined;
}

/** One of the items, 0 the latest. */
function latest<T>(items: readonly T[], index: number): T | undefined {
  return items.at(-1 - (index % (items.length || 1)));
}

/** Counts what is reserved. */
function countingBudgets(clock: FakeClock): {
  readonly store: BudgetStore;
  readonly open: () => number;
} {
  const store = memoryBudgets({ clock });
  let open = 0;
  const counted = (reply: BudgetReply): BudgetReply => {
    if (!reply.granted) return reply;
    open += 1;
    let isOpen = true;
    const end = (): void => {
      if (isOpen) open -= 1;
      isOpen = false;
    };
    const { reservation } = reply;
    return {
      granted: true,
      reservation: {
        ...reservation,
        settle(usage) {
          end();
          reservation.settle(usage);
        },
        void() {
          end();
          reservation.void();
        },
        further(...args) {
          const more = reservation.further(...args);
          return more === "unavailable" ? more : counted(more);
        },
      },
    };
  };
  return {
    open: () => open,
    store: {
      ...store,
      reserve(...args) {
        const reply = store.reserve(...args);
        return reply === "unavailable" ? reply : counted(reply);
      },
    },
  };
}

/** A guard over a route, everything around it, and what happened. */
class World {
  readonly clock = new FakeClock();
  readonly record = recordingSink();
  readonly asked: Asked[] = [];
  readonly called: Called[] = [];
  readonly handed: Asked[] = [];
  readonly broken: string[] = [];
  readonly admission = memoryAdmission({ globalInFlight: { limit: places }, clock: this.clock });
  readonly budgets = countingBudgets(this.clock);
  readonly providers: readonly FakeProvider<string>[];
  readonly shape: Shape;
  readonly guard;
  readonly #flags = staticFlags({ [feature]: { enabled: true } });
  #rows: readonly ProviderConfig[];
  #failover = true;
  #killed = false;
  #closed = false;
  /** Since when the feature is shut. */
  #shutAtMs = 0;
  readonly #over = new Set<HandedOver>();
  /** To be handed over after the next action. */
  #decided: Asked | undefined;
  #firstCalls = 0;
  #retries = 0;

  constructor(shape: Shape) {
    this.shape = shape;
    this.providers = names.slice(0, shape.providers).map((name, index) =>
      fakeProvider<string>({
        name,
        model: index === 0 ? "cheap" : "dear",
        streams: true,
        inputTokens: () => promptTokens,
        onCall: (call) => this.#onCall(name, call),
      }),
    );
    this.#rows = this.providers.map(({ name }) => ({ provider: name }));
    const flags: FlagSource = {
      ...this.#flags,
      readSwitches: () => {
        const { switches, problems } = this.#flags.readSwitches();
        return {
          switches: { ...switches, FF_PROVIDER_FAILOVER_ENABLED: this.#failover },
          problems,
        };
      },
      onChange: (listener) => (shape.tells ? this.#flags.onChange(listener) : () => undefined),
    };
    this.guard = createGuard({
      feature,
      contract: contracts[shape.contract],
      failed: ({ code }) => ({ status: "FAILED", code }) as const,
      stub: () => stub,
      onFailure: shape.onFailure,
      route: {
        providers: this.providers,
        candidates: { name: "sql", read: () => this.#rows },
        strategy: shape.strategy,
      },
      flags,
      clock: this.clock,
      admission: this.admission,
      budget: { ...caps, maxOutputTokens, store: this.budgets.store },
      prices,
      breaker: { minCalls: 4, openMs },
      timeoutMs: 1000,
      firstContentTimeoutMs: 500,
      chunkTimeoutMs: 300,
      totalTimeoutMs: 3000,
      retry: { maxRetries: 2, baseMs: 100, budgetRatio: shape.retryRatio },
      random: () => 0.5,
      stream: { bufferBytes: 24, stallMs: 400 },
      openTelemetry: false,
      sinks: [this.record.sink],
    });
  }

  get isShut(): boolean {
    return this.#killed || this.#closed;
  }

  #onCall(provider: string, call: FakeCall<string>): void {
    if (this.isShut) this.broken.push("I1 a call began while the feature was shut");
    if (call.asked.reserved === undefined) this.broken.push("I3 a call had nothing reserved");
    const asked = this.asked[Number(call.asked.input)];
    const called: Called = { call, provider, emitted: "", ended: undefined };
    this.called.push(called);
    if (asked?.outcome !== undefined) this.broken.push("a call began after the outcome");
    // A route never comes back to a candidate that it left.
    if (asked?.calls.at(-1)?.provider === provider) this.#retries += 1;
    else this.#firstCalls += 1;
    asked?.calls.push(called);
    if (this.#retries > this.#firstCalls * this.shape.retryRatio) {
      this.broken.push(`${this.#retries} retries of ${this.#firstCalls} calls`);
    }
  }

  async perform(action: Action): Promise<void> {
    const decided = this.#decided;
    this.#decided = undefined;
    switch (action.do) {
      case "run":
      case "stream":
      case "hand over":
        this.#ask(action);
        break;
      case "emit":
        this.#emit(latest(this.called, action.which), action.piece);
        break;
      case "progress":
        this.#send(latest(this.called, action.which), { type: "progress" });
        break;
      case "usage":
        this.#tellUsage(latest(this.called, action.which), action.used);
        break;
      case "answer":
        this.#emit(latest(this.called, action.which), "the rest of a whole answer");
        this.#end(latest(this.called, action.which), "finish");
        break;
      case "finish":
      case "untold":
      case "cut":
      case "throw":
        this.#end(latest(this.called, action.which), action.do);
        break;
      case "fail":
        this.#fail(latest(this.called, action.which), errorReply(action.code, action));
        break;
      case "read":
        this.#read(latest(this.streams(), action.which));
        break;
      case "leave":
        this.#leave(latest(this.streams(), action.which));
        break;
      case "abort":
        latest(this.asked, action.which)?.controller.abort();
        break;
      case "end handed":
        this.#endHanded(latest(this.handed, action.which));
        break;
      case "feed handed":
        this.#feedHanded(latest(this.handed, action.which));
        break;
      case "failover":
        this.#failover = !this.#failover;
        break;
      case "route":
        this.#changeRoute(action);
        break;
      case "advance":
        await this.#advance(action.ms);
        break;
      default:
        this.#flip(action.do);
    }
    if (decided !== undefined) this.#handOver(decided);
    if (action.do === "hand over") this.#decided = this.asked.at(-1);
    // Sometimes the next action comes before what this one caused has gone on.
    if (action.do === "advance" || this.called.length % 2 === 0) await this.clock.advanceAsync(0);
    this.#expectWithinCaps();
  }

  streams(): readonly Asked[] {
    return this.asked.filter(({ kind }) => kind === "stream");
  }

  #flip(what: "kill" | "restore" | "close" | "open"): void {
    const wasShut = this.isShut;
    if (what === "kill" || what === "restore") this.#killed = what === "kill";
    else this.#closed = what === "close";
    if (!wasShut) this.#shutAtMs = this.clock.monotonicMs();
    if (what === "kill") this.guard.kill();
    if (what === "restore") this.guard.restore();
    if (what === "close") this.#flags.set(feature, { percent: 0 });
    if (what === "open") this.#flags.set(feature, { percent: 100 });
    if (what === "kill" || (what === "close" && this.shape.tells)) this.#expectAborted();
  }

  #changeRoute(action: Extract<Action, { do: "route" }>): void {
    const shift = action.order % this.providers.length;
    const order = [...this.providers.slice(shift), ...this.providers.slice(0, shift)];
    this.#rows = order.map(({ name }, index) => ({
      provider: name,
      maxRetries: action.retries,
      isDefault: index === 0,
      weight: action.broken && index === 1 ? -1 : 1 + index,
      enabled: action.order < 9 || index === 0,
    }));
  }

  #ask(action: Extract<Action, { subject: number }>): void {
    const index = this.asked.length;
    const asked: Asked = {
      id: `req-${index}`,
      kind: action.do,
      controller: new AbortController(),
      calls: [],
      decision: undefined,
      outcome: undefined,
      stream: undefined,
      reader: undefined,
      events: [],
      reading: Promise.resolve(true),
      left: false,
      handed: undefined,
      fed: 0,
    };
    this.asked.push(asked);
    const request = {
      subject: `subject-${action.subject}`,
      run: action.run === 0 ? undefined : `run-${action.run}`,
      requestId: asked.id,
      signal: asked.controller.signal,
    };
    if (action.do === "run") {
      void this.#follow(asked, this.guard.run(String(index), request));
    } else if (action.do === "stream") {
      asked.stream = this.guard.stream(String(index), request);
      asked.reader = asked.stream[Symbol.asyncIterator]();
      void this.#follow(asked, asked.stream.outcome);
    } else {
      const decision = this.guard.decide(String(index), request);
      if (decision instanceof Promise) throw new TypeError("the stores are local");
      asked.decision = decision;
    }
  }

  /** With something else between the decision and it. */
  #handOver(asked: Asked): void {
    if (asked.decision === undefined) return;
    const handed = this.guard.handOver(asked.decision);
    if ("barred" in handed) return;
    if (this.isShut) this.broken.push("I1 a call was handed over while the feature was shut");
    asked.handed = handed;
    this.handed.push(asked);
    this.#firstCalls += 1;
  }

  async #follow(asked: Asked, running: Promise<SampleOutcome>): Promise<void> {
    try {
      asked.outcome = await running;
      asked.decision = asked.outcome.decision;
    } catch {
      this.broken.push("an execution rejected");
    }
  }

  #emit(called: Called | undefined, piece: string): void {
    if (called === undefined || called.ended !== undefined || !called.call.streams) return;
    const text = this.#textFor(called, piece);
    // No more than was reserved, so that what is seen is never above what was capped.
    const most = 4 * (called.call.asked.maxOutputTokens ?? 0);
    if (Buffer.byteLength(called.emitted + text) > most) return;
    called.emitted += text;
    called.call.emit(delta(text));
  }

  /** The first piece names its call, so that two answers that were glued would show. */
  #textFor({ emitted, call }: Called, piece: string): string {
    if (this.shape.contract === "structured") {
      return valueJson.slice(emitted.length, emitted.length + 1 + piece.length * 2);
    }
    return emitted === "" ? `${this.called.findIndex((one) => one.call === call)}:${piece}` : piece;
  }

  #send(called: Called | undefined, event: ProviderEvent): void {
    if (called?.call.streams === true && called.ended === undefined) called.call.emit(event);
  }

  #usageOf({ call }: Called, used: number): Usage {
    return {
      inputTokens: promptTokens,
      outputTokens: Math.min(used, call.asked.maxOutputTokens ?? 0),
    };
  }

  #tellUsage(called: Called | undefined, used: number): void {
    if (called !== undefined) {
      this.#send(called, { type: "usage", usage: this.#usageOf(called, used) });
    }
  }

  #end(called: Called | undefined, how: "finish" | "untold" | "cut" | "throw"): void {
    if (called === undefined || called.ended !== undefined) return;
    const { call } = called;
    called.ended = how === "finish" || how === "untold" ? "finish" : "other";
    if (how === "throw" || (how === "cut" && !call.streams)) call.fail(new Error("planted"));
    else if (how === "cut") call.cut();
    else if (call.streams) call.emit({ type: "finish" });
    else {
      called.emitted = this.shape.contract === "text" ? "whole" : valueJson;
      call.reply(
        textReply(called.emitted, how === "untold" ? undefined : this.#usageOf(called, 5)),
      );
    }
  }

  #fail(called: Called | undefined, failure: Extract<ProviderReply, { ok: false }>): void {
    if (called === undefined || called.ended !== undefined) return;
    called.ended = "other";
    if (called.call.streams) called.call.emit({ type: "failed", failure });
    else called.call.reply(failure);
  }

  #read(asked: Asked | undefined): void {
    if (asked !== undefined) void this.#readOne(asked);
  }

  /** One read after another, as a loop does; whether there may be more. */
  #readOne(asked: Asked): Promise<boolean> {
    const read = async (before: Promise<boolean>): Promise<boolean> => {
      if (!(await before)) return false;
      const next = await asked.reader?.next();
      if (next === undefined || next.done === true) return false;
      asked.events.push(next.value);
      return true;
    };
    asked.reading = read(asked.reading);
    return asked.reading;
  }

  #leave(asked: Asked | undefined): void {
    if (asked?.stream === undefined || asked.left) return;
    asked.left = true;
    asked.stream.cancel();
  }

  #endHanded(asked: Asked | undefined): void {
    const handed = asked?.handed;
    if (asked === undefined || handed === undefined) return;
    const isOdd = asked.fed % 2 === 1;
    const before = handed.stopped;
    this.#over.add(handed);
    const code = handed.end(
      isOdd ? { ok: false, code: "STREAM_CUT", dispatched: true } : { ok: true },
    );
    if (before !== undefined && code !== before) this.broken.push("a stop was explained away");
    if (handed.end({ ok: true }) !== code) this.broken.push("a second end changed the first");
  }

  #feedHanded(asked: Asked | undefined): void {
    if (asked?.handed === undefined) return;
    asked.fed += 1;
    asked.handed.streams();
    if (asked.fed < 16) asked.handed.content(3);
  }

  async #advance(ms: number): Promise<void> {
    // In steps, so that what is due within a longer time is looked at then.
    for (let leftMs = ms; leftMs > 0; leftMs -= 20) {
      await this.clock.advanceAsync(Math.min(20, leftMs));
      if (this.isShut && this.clock.monotonicMs() - this.#shutAtMs >= 20) this.#expectAborted();
    }
    vi.advanceTimersByTime(ms);
  }

  /** I1: of every call under way. */
  #expectAborted(): void {
    for (const { calls, outcome, handed } of this.asked) {
      const called = calls.at(-1);
      const isUnderWay = called?.ended === undefined && called?.call.left === false;
      const isAborted = called?.call.asked.signal.aborted === true;
      if (outcome === undefined && isUnderWay && !isAborted) {
        this.broken.push("I1 a call was not aborted in time");
      }
      if (handed !== undefined && !this.#over.has(handed) && !handed.signal.aborted) {
        this.broken.push("I1 a call that was handed over was not aborted in time");
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
        Math.min(use.calls, use.tokens, use.costNanoUsd) >= 0;
      if (!within) this.broken.push(`I3 ${run} used ${JSON.stringify(use)}`);
    }
  }

  /** Lets everything come to its end. */
  async end(): Promise<void> {
    if (this.#decided !== undefined) this.#handOver(this.#decided);
    for (const asked of this.streams()) {
      if (!asked.left) void this.#drain(asked);
    }
    for (const asked of this.handed) this.#endHanded(asked);
    for (let round = 0; round < 8 && this.guard.inFlight > 0; round += 1) {
      for (const called of this.called) this.#end(called, "finish");
      await this.#advance(440);
    }
    await this.clock.advanceAsync(0);
    this.guard.flush();
  }

  async #drain(asked: Asked): Promise<void> {
    while (await this.#readOne(asked));
  }

  /** Each provider can be called again, once its time has passed: nobody holds its probes. */
  async callEach(): Promise<void> {
    this.#flip("restore");
    this.#flip("open");
    await this.clock.advanceAsync(60_001);
    vi.advanceTimersByTime(openMs);
    for (const { name } of this.providers) {
      this.#rows = this.providers.map((provider) => ({
        provider: provider.name,
        enabled: provider.name === name,
      }));
      const isClosed = (): boolean =>
        this.guard
          .describe()
          .providers.some((one) => one.provider === name && one.breaker === "closed");
      for (let i = 0; i < 4 && (i === 0 || !isClosed()); i += 1) {
        this.#ask({ do: "run", subject: 0, run: 0 });
        this.#end(this.called.at(-1), "finish");
        await this.clock.advanceAsync(0);
        const outcome = this.asked.at(-1)?.outcome;
        if (outcome?.status !== "SUCCEEDED" || outcome.record.selectedProvider !== name) {
          this.broken.push(`I4 ${name} can't be called`);
        }
      }
      if (!isClosed()) this.broken.push(`I4 the circuit of ${name} does not close`);
    }
    this.guard.flush();
  }
}

const value = { status: "OK", reply: "an answer" } as const;
const valueJson = JSON.stringify(value);

function expectNothingHeld({ guard, admission, budgets }: World): void {
  expect(guard.inFlight).toBe(0);
  expect(budgets.open()).toBe(0);
  const taken = Array.from({ length: places }, () => admission.acquire("somebody"));
  for (const reply of taken) expect(reply).toMatchObject({ admitted: true });
  for (const reply of taken) {
    if (typeof reply === "object" && "lease" in reply) reply.lease.release();
  }
}

/** I13: what is wrong with what a stream's reader saw: it is one answer, complete only where it says so. */
function untruthsOf(asked: Asked, shape: Shape): readonly string[] {
  const { events, calls, outcome, left, kind } = asked;
  if (kind !== "stream") return [];
  const text = events.map((event) => (event.type === "text-delta" ? event.text : "")).join("");
  const terminal = events.filter((event) => "outcome" in event);
  const last = events.at(-1);
  const call = calls.at(-1);
  const emitted = call?.emitted ?? "";
  const code = outcome?.status === "FAILED" ? outcome.failure.code : undefined;
  const succeeded = outcome?.status === "SUCCEEDED";
  const complete = succeeded ? emitted : textOf(stub, shape);
  const answers = [...calls.map((one) => one.emitted), stub.reply];
  const isPermitted = emitted !== "" && emitted.length <= 300 && !emitted.includes(forbidden);
  const isFinished = last?.type === "finish";
  const isTold = last === terminal[0] && terminal[0]?.outcome === outcome;
  const checks = {
    "it has no terminal event, or not one, or not at its end":
      terminal.length === (left ? Math.min(1, terminal.length) : 1) &&
      (terminal.length === 0 || isTold),
    "a forbidden pattern left": !text.includes(forbidden),
    "it says it is finished, and its text is another": !isFinished || text === complete,
    "it succeeded, though its provider did not finish":
      !isFinished || !succeeded || call?.ended === "finish",
    "its text is not the beginning of one answer":
      shape.contract === "structured" || answers.some((answer) => answer.startsWith(text)),
    "text of a value left that did not parse":
      shape.contract === "text" || isFinished || last?.type !== "failed" || text === "",
    // Only what the last call sent is judged.
    "a valid value was refused": code !== "OUTPUT_NOT_JSON" || emitted !== valueJson,
    "a permitted text was refused": code !== "OUTPUT_SCHEMA_INVALID" || !isPermitted,
  };
  return Object.entries(checks).flatMap(([what, holds]) => (holds ? [] : [`${asked.id}: ${what}`]));
}

const textOf = (answer: { readonly reply: string }, shape: Shape): string =>
  shape.contract === "text" ? answer.reply : JSON.stringify(answer);

/** I2 */
function expectParses(outcome: SampleOutcome): void {
  if (outcome.status === "REJECTED") return;
  const isStub =
    outcome.status === "STUBBED" || (outcome.path === "stub" && outcome.record.fallbackUsed);
  const member = outcome.status === "SUCCEEDED" ? "ok" : isStub ? "stub" : "failed";
  expect(members[member].safeParse(outcome.value).success).toBe(true);
}

/** I11: one decision and one outcome each, or one `disabled_noop`; the outcome names who was called. */
function expectEventsOf({ record, asked }: World): void {
  const open = asked.filter(({ decision }) => decision?.closed === false);
  const ids = new Set(open.map(({ decision }) => decision?.id));
  const outcomes = record.of("outcome");
  for (const events of [record.of("decision"), outcomes]) {
    expect(events).toHaveLength(open.length);
    expect(new Set(events.map((event) => event.decision_id))).toEqual(ids);
  }
  expect(record.of("disabled_noop")).toHaveLength(asked.length - open.length);
  const told = new Map(outcomes.map((event) => [event.request_id, event]));
  for (const { id, calls } of open.filter(({ kind }) => kind !== "hand over")) {
    const called = calls.map(({ provider }) => provider);
    const [first, last] = [called[0], called.at(-1)];
    const event = told.get(id);
    expect({
      attempts: event?.attempts.map(({ provider }) => provider),
      selected: event?.selected_provider,
      fallback: event?.fallback_provider,
      used: event?.fallback_used === true || first === last,
    }).toEqual({
      attempts: called,
      selected: first,
      fallback: first === last ? undefined : last,
      used: true,
    });
  }
}

const reached = [
  "run SUCCEEDED",
  "run STUBBED",
  "run REJECTED",
  "run CLIENT_ABORTED",
  "run PROVIDER_TIMEOUT",
  "run INTERNAL",
  "stream SUCCEEDED",
  "stream STUBBED",
  "stream REJECTED",
  "stream CLIENT_ABORTED",
  "stream PROVIDER_TIMEOUT",
  "stream STREAM_STALLED",
  "stream OUTPUT_SCHEMA_INVALID",
  "stream OUTPUT_NOT_JSON",
  "stream KILLED",
  "stream STREAM_CUT",
  "retry",
  "failover",
  "skipped disabled",
  "skipped circuit_open",
  "skipped cooling_down",
  "skipped retry_budget",
  "skipped budget",
];

describe("over random interleavings of requests over a route", () => {
  it("I1 I2 I3 I4 I11 I13 hold, and retries keep to their share", { timeout: 60_000 }, async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.array(actions, { minLength: 10, maxLength: 90, size: "max" }),
        async (shape, trace) => {
          const world = new World(shape);
          try {
            for (const action of trace) await world.perform(action);
            await world.end();
            expect(world.broken).toEqual([]);
            expectNothingHeld(world);
            for (const asked of world.asked) {
              const { outcome, kind, calls } = asked;
              expect(asked.decision).toBeDefined();
              if (kind === "hand over") continue;
              expect(outcome).toBeDefined();
              if (outcome === undefined) continue;
              expectParses(outcome);
              expect(untruthsOf(asked, shape)).toEqual([]);
              const word = outcome.status === "FAILED" ? outcome.failure.code : outcome.status;
              for (const what of [
                `${kind} ${word}`,
                outcome.record.fallbackProvider === undefined ? "" : "failover",
                calls.some(({ provider }, i) => calls[i - 1]?.provider === provider) ? "retry" : "",
                ...outcome.record.skipped.map(({ why }) => `skipped ${why}`),
              ]) {
                seen.set(what, (seen.get(what) ?? 0) + 1);
              }
            }
            expectEventsOf(world);
            await world.callEach();
            expect(world.broken).toEqual([]);
          } finally {
            world.guard.close();
          }
        },
      ),
      { numRuns: 600 },
    );
    // The traces reach every end there is, by every way.
    expect([...seen.keys()]).toEqual(expect.arrayContaining(reached));
  });
});
