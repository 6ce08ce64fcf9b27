import {
  defineContract,
  type ProviderReply,
  type StreamEvent,
  type ToolCall,
} from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  textReply,
  type FakeCall,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  createGuard,
  defineTool,
  memoryAdmission,
  staticFlags,
  type BudgetOptions,
} from "./index.ts";

const members = {
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
};
const contracts = {
  text: defineContract({
    ok: members.ok,
    failed: members.failed,
    stub: members.stub,
    text: { field: "reply", maxChars: 500, forbidden: ["secret"] },
  }),
  structured: defineContract({ ok: members.ok, failed: members.failed, stub: members.stub }),
};
const { promise: never } = Promise.withResolvers<never>();
const answer = JSON.stringify({ status: "OK", reply: "structured" });
const usage = { inputTokens: 10, outputTokens: 5 };

type Event = StreamEvent<unknown, unknown, unknown>;
interface Turn {
  readonly text?: string;
  readonly calls?: readonly ToolCall[];
  /** Instead of an answer. */
  readonly fails?: Extract<ProviderReply, { ok: false }>;
}

const call = (id: string, name: string, args: unknown): ToolCall => ({
  id,
  name,
  arguments: typeof args === "string" ? args : JSON.stringify(args),
});

function say(made: FakeCall<string>, { text = "", calls = [], fails }: Turn): void {
  if (fails !== undefined) {
    if (made.streams) made.emit({ type: "failed", failure: fails });
    else made.reply(fails);
  } else if (made.streams) {
    made.emit(delta(text), ...calls.map((one) => ({ type: "tool-call", call: one }) as const));
    made.emit({ type: "usage", usage }, { type: "finish" });
  } else {
    made.reply({
      ok: true,
      output: { kind: "text", text },
      usage,
      ...(calls.length > 0 ? { toolCalls: calls } : {}),
    });
  }
}

function bench(
  turns: readonly Turn[],
  more: {
    readonly contract?: keyof typeof contracts;
    readonly budget?: Partial<BudgetOptions>;
    readonly maxToolSteps?: number;
    readonly bufferBytes?: number;
    readonly names?: readonly string[];
    readonly onFailure?: "failed" | "stub";
    /** Ends the tool's run; it hangs without. */
    readonly run?: (city: string) => unknown;
  } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const left = [...turns];
  const made: FakeCall<string>[] = [];
  const ran: { readonly city: string; readonly signal: AbortSignal }[] = [];
  const providers = (more.names ?? ["first"]).map((name) =>
    fakeProvider<string>({
      name,
      streams: true,
      inputTokens: () => 10,
      onCall(one) {
        made.push(one);
        const turn = left.shift();
        if (turn !== undefined) say(one, turn);
      },
    }),
  );
  const weather = defineTool({
    description: "Tells the weather.",
    input: z.object({ city: z.string() }),
    run({ city }, { signal }) {
      ran.push({ city, signal });
      return more.run === undefined ? { weather: `rain in ${city}` } : more.run(city);
    },
  });
  const admission = memoryAdmission({ globalInFlight: { limit: 1 }, clock });
  const guard = createGuard({
    feature: "chat_ai",
    contract: contracts[more.contract ?? "text"],
    failed: ({ code }) => ({ status: "FAILED", code }) as const,
    stub: () => ({ status: "STUB", reply: "a person answers" }) as const,
    route: {
      providers,
      candidates: providers.map(({ name }) => ({ provider: name })),
      strategy: "failover",
      failover: true,
    },
    tools: { weather },
    maxToolSteps: more.maxToolSteps ?? 3,
    flags: staticFlags({ chat_ai: { enabled: true } }),
    clock,
    admission,
    budget: { callsPerRun: 20, maxOutputTokens: 50, ...more.budget },
    onFailure: more.onFailure ?? "failed",
    retry: { maxRetries: 1, budgetRatio: 1, baseMs: 1 },
    random: () => 0,
    stream: { bufferBytes: more.bufferBytes ?? 64 * 1024, stallMs: 1000 },
    openTelemetry: false,
    sinks: [record.sink],
  });
  const request = { subject: "ann", run: "run" };
  return {
    guard,
    clock,
    made,
    ran,
    run: async () => {
      const running = guard.run("what?", request);
      await clock.advanceAsync(10);
      return running;
    },
    start: () => guard.run("what?", request),
    stream: () => guard.stream("what?", request),
    /** Reads a stream to its end. */
    read: async () => {
      const events: Event[] = [];
      const stream = guard.stream("what?", request);
      const done = (async () => {
        for await (const event of stream) events.push(event);
      })();
      await clock.advanceAsync(10);
      await done;
      return events;
    },
    outcomes: () => {
      guard.flush();
      return record.of("outcome");
    },
    expectNothingHeld: () => {
      expect(guard.inFlight).toBe(0);
      expect(admission.acquire("bob")).toMatchObject({ admitted: true });
    },
  };
}

const asks: Turn = { text: "Let me look. ", calls: [call("c1", "weather", { city: "Rome" })] };
const textOf = (events: readonly Event[]): string =>
  events.map((event) => (event.type === "text-delta" ? event.text : "")).join("");

describe("a model that calls a tool", () => {
  it("is told the result in the steps of its next turn, and then answers", async () => {
    const { run, made, ran, outcomes, expectNothingHeld } = bench([asks, { text: "It rains." }]);
    const outcome = await run();
    expect(outcome).toMatchObject({
      status: "SUCCEEDED",
      value: { reply: "Let me look. It rains." },
      record: {
        attempts: [{ provider: "first" }, { provider: "first" }],
        tools: [{ tool: "weather", waitMs: 0 }],
        usage: { inputTokens: 20, outputTokens: 10 },
        fallbackUsed: false,
      },
    });
    expect(ran.map(({ city }) => city)).toEqual(["Rome"]);
    expect(made.map(({ asked }) => asked.steps)).toEqual([
      [],
      [
        {
          text: "Let me look. ",
          calls: asks.calls,
          results: [{ id: "c1", output: '{"weather":"rain in Rome"}' }],
        },
      ],
    ]);
    expect(made[0]?.asked.tools).toMatchObject([{ name: "weather" }]);
    expect(outcomes()).toMatchObject([{ tools: [{ tool: "weather" }], attempts: [{}, {}] }]);
    expectNothingHeld();
  });

  it("says so in a stream, with what its tool was given, and what it gave", async () => {
    const { read, outcomes, expectNothingHeld } = bench([asks, { text: "It rains." }]);
    const events = await read();
    expect(events.map(({ type }) => type)).toEqual([
      "text-delta",
      "tool-call",
      "tool-result",
      "text-delta",
      "usage",
      "finish",
    ]);
    expect(events[2]).toEqual({
      type: "tool-result",
      id: "c1",
      name: "weather",
      output: '{"weather":"rain in Rome"}',
    });
    expect(events[1]).toEqual({
      type: "tool-call",
      id: "c1",
      name: "weather",
      input: { city: "Rome" },
    });
    expect(textOf(events)).toBe("Let me look. It rains.");
    expect(events.at(-1)).toMatchObject({
      outcome: { value: { reply: "Let me look. It rains." } },
    });
    expect(outcomes()).toHaveLength(1);
    expectNothingHeld();
  });

  it.each([
    ["a tool that there is not", call("c1", "launch", {}), "UNKNOWN_TOOL"],
    ["arguments that do not parse", call("c1", "weather", { town: "Rome" }), "ARGUMENTS_INVALID"],
    ["arguments that are no JSON", call("c1", "weather", "{"), "ARGUMENTS_INVALID"],
  ])("is told of %s, and its reader is not", async (_, wrong, code) => {
    const { read, made, ran, outcomes } = bench([{ calls: [wrong] }, { text: "Sorry." }]);
    const events = await read();
    expect(events.map(({ type }) => type)).toEqual(["text-delta", "usage", "finish"]);
    expect(made[1]?.asked.steps[0]?.results).toEqual([
      { id: "c1", output: JSON.stringify({ error: code }) },
    ]);
    expect(ran).toEqual([]);
    expect(outcomes()).toMatchObject([
      { tools: [{ tool: code === "UNKNOWN_TOOL" ? "unknown" : "weather", code }] },
    ]);
  });

  it("again and again is stopped after maxToolSteps turns", async () => {
    const { run, made, ran, expectNothingHeld } = bench([asks, asks, asks, asks, asks], {
      maxToolSteps: 2,
    });
    expect(await run()).toMatchObject({ status: "FAILED", failure: { code: "OUTPUT_TRUNCATED" } });
    expect(made).toHaveLength(3);
    expect(ran).toHaveLength(2);
    expectNothingHeld();
  });

  it("uses one idempotency key for a turn and its retries, and a new one for the next turn", async () => {
    const down = errorReply("PROVIDER_UNAVAILABLE");
    const { run, made } = bench([{ fails: down }, asks, { fails: down }, { text: "It rains." }]);
    expect(await run()).toMatchObject({ status: "SUCCEEDED" });
    const keys = made.map(({ asked }) => asked.idempotencyKey);
    expect(keys[0]).toBe(keys[1]);
    expect(keys[2]).toBe(keys[3]);
    expect(keys[1]).not.toBe(keys[2]);
  });

  it("I3 uses a call of the budget for each turn", async () => {
    const { run, guard } = bench([asks, asks, { text: "It rains." }]);
    await run();
    expect(guard.budget.use("run")).toMatchObject({ calls: 3, tokens: 45 });
  });

  it("gets the safe path where the budget has no call left for its next turn", async () => {
    const { run, made, guard, expectNothingHeld } = bench([asks, { text: "It rains." }], {
      budget: { callsPerRun: 1 },
    });
    expect(await run()).toMatchObject({
      status: "STUBBED",
      reason: "BUDGET_CALLS",
      record: { fallbackUsed: true, skipped: [{ provider: "first", why: "budget" }] },
    });
    expect(made).toHaveLength(1);
    expect(guard.budget.use("run").calls).toBe(1);
    expectNothingHeld();
  });

  it("fails as cut short, not as killed, where content has left and the budget has no call left", async () => {
    const { read } = bench([asks, { text: "It rains." }], { budget: { callsPerRun: 1 } });
    expect((await read()).at(-1)).toMatchObject({
      type: "failed",
      outcome: { status: "FAILED", path: "ai", failure: { code: "OUTPUT_TRUNCATED" } },
    });
  });
});

describe("a structured contract with tools", () => {
  it("is judged on the last turn alone", async () => {
    const { run } = bench([asks, { text: answer }], { contract: "structured" });
    expect(await run()).toMatchObject({ status: "SUCCEEDED", value: { reply: "structured" } });
  });

  it("streams its calls and then its value, whole", async () => {
    const { read } = bench([asks, { text: answer }], { contract: "structured" });
    const events = await read();
    expect(events.map(({ type }) => type)).toEqual([
      "tool-call",
      "tool-result",
      "text-delta",
      "usage",
      "finish",
    ]);
    expect(textOf(events)).toBe(answer);
  });
});

describe("a kill while a tool runs", () => {
  const hanging = { run: () => never };

  it("I1 aborts the tool and sends the request to the safe path, without another turn", async () => {
    const { start, clock, guard, ran, made, outcomes, expectNothingHeld } = bench([asks], hanging);
    const running = start();
    await clock.advanceAsync(10);
    expect(ran).toHaveLength(1);
    guard.kill();
    expect(ran[0]?.signal.aborted).toBe(true);
    guard.restore();
    expect(await running).toMatchObject({
      status: "STUBBED",
      reason: "KILLED",
      record: { tools: [{ tool: "weather", code: "STOPPED" }] },
    });
    expect(made).toHaveLength(1);
    expect(outcomes()).toMatchObject([{ tools: [{ code: "STOPPED" }], reason: "KILLED" }]);
    expectNothingHeld();
  });

  it("I1 I13 ends a stream whose call has left as failed", async () => {
    const { stream, clock, guard, ran, expectNothingHeld } = bench([asks], hanging);
    const streamed = stream();
    await clock.advanceAsync(10);
    guard.kill();
    expect(ran[0]?.signal.aborted).toBe(true);
    expect(await streamed.outcome).toMatchObject({
      status: "FAILED",
      failure: { code: "KILLED" },
      record: { tools: [{ code: "KILLED" }] },
    });
    expectNothingHeld();
  });

  it("is like a reader who leaves: the tool is aborted", async () => {
    const { stream, clock, ran, made, expectNothingHeld } = bench([asks], hanging);
    const streamed = stream();
    await clock.advanceAsync(10);
    streamed.cancel();
    expect(ran[0]?.signal.aborted).toBe(true);
    expect(await streamed.outcome).toMatchObject({ failure: { code: "CLIENT_ABORTED" } });
    expect(made).toHaveLength(1);
    expectNothingHeld();
  });
});

describe("failover and tools", () => {
  const fails: Turn = { fails: errorReply("PROVIDER_BAD_REQUEST") };

  it("goes on at another provider with the steps so far, where nothing has left", async () => {
    const { run, made } = bench([asks, fails, { text: "It rains." }], {
      names: ["first", "second"],
    });
    expect(await run()).toMatchObject({
      status: "SUCCEEDED",
      record: { selectedProvider: "first", fallbackProvider: "second", fallbackUsed: true },
    });
    expect(made[2]?.asked.steps).toHaveLength(1);
  });

  it("I13 never happens after a tool call has left in a stream", async () => {
    const { read, made } = bench([{ calls: asks.calls ?? [] }, fails, { text: "It rains." }], {
      names: ["first", "second"],
      onFailure: "stub",
    });
    const events = await read();
    expect(events.map(({ type }) => type)).toEqual(["tool-call", "tool-result", "usage", "failed"]);
    expect(events.at(-1)).toMatchObject({
      outcome: { path: "ai", failure: { code: "PROVIDER_BAD_REQUEST" } },
    });
    expect(made).toHaveLength(2);
  });

  it("lets the same provider have its next turn again, while nothing of that turn has left", async () => {
    const { read } = bench([
      asks,
      { fails: errorReply("PROVIDER_UNAVAILABLE") },
      { text: "Rain." },
    ]);
    const events = await read();
    expect(textOf(events)).toBe("Let me look. Rain.");
    expect(events.at(-1)).toMatchObject({ type: "finish" });
  });
});

describe("the text over several turns", () => {
  it("I2 never lets a forbidden pattern leave that begins in one turn and ends in the next", async () => {
    const { read } = bench([{ text: "the sec", calls: asks.calls ?? [] }, { text: "ret is out" }]);
    const events = await read();
    expect(textOf(events)).toBe("the ");
    expect(events.at(-1)).toMatchObject({
      type: "failed",
      outcome: { failure: { code: "OUTPUT_SCHEMA_INVALID" } },
    });
  });

  it("I2 nor where that turn is made again", async () => {
    const { read } = bench([
      { text: "the sec", calls: asks.calls ?? [] },
      { fails: errorReply("PROVIDER_UNAVAILABLE") },
      { text: "ret is out" },
    ]);
    expect(textOf(await read())).toBe("the ");
  });

  it("leaves whole where what was held back turns out harmless", async () => {
    for (const text of ["ond one", "", "sec"]) {
      const { read } = bench([{ text: "the sec", calls: asks.calls ?? [] }, { text }]);
      const events = await read();
      expect(textOf(events)).toBe(`the sec${text}`);
      expect(events.at(-1)).toMatchObject({
        type: "finish",
        outcome: { value: { reply: `the sec${text}` } },
      });
    }
  });
});

const values = (reply: string) =>
  fakeProvider<string>({
    onCall(made) {
      const isFirst = made.asked.steps.length === 0;
      made.reply(
        isFirst
          ? ({ ...textReply("Let me look. "), toolCalls: asks.calls } as ProviderReply)
          : { ok: true, output: { kind: "value", value: { status: "OK", reply } } },
      );
    },
  });

describe("a provider that gives a value where text was asked for", () => {
  it.each([
    ["It rains.", "finish"],
    ["The SECRET is out.", "failed"],
    ["x".repeat(490), "failed"],
  ])("says the same in its text and in its value: %#", async (reply, end) => {
    const clock = new FakeClock();
    const guard = createGuard({
      feature: "chat_ai",
      contract: contracts.text,
      failed: ({ code }) => ({ status: "FAILED", code }) as const,
      stub: () => ({ status: "STUB", reply: "stub" }) as const,
      provider: values(reply),
      tools: {
        weather: defineTool({
          description: "Tells the weather.",
          input: z.object({ city: z.string() }),
          run: () => "rain",
        }),
      },
      flags: staticFlags({ chat_ai: { enabled: true } }),
      onFailure: "failed",
      clock,
      sinks: [() => 0],
    });
    const events: Event[] = [];
    for await (const event of guard.stream("what?", { subject: "ann" })) events.push(event);
    const whole = `Let me look. ${reply}`;
    expect(events.at(-1)?.type).toBe(end);
    expect(events.at(-1)).toMatchObject({
      outcome: end === "finish" ? { value: { reply: whole } } : { status: "FAILED" },
    });
    expect(whole.startsWith(textOf(events))).toBe(true);
    expect(textOf(events) === whole).toBe(end === "finish");
  });
});

describe("a reader who stands still while tools are called", () => {
  const cities = ["Rome", "Oslo"].map((city) => call(city, "weather", { city }));

  it("is cut after the stall limit, and no tool runs", async () => {
    const { stream, clock, ran, made, expectNothingHeld } = bench([{ calls: cities }], {
      bufferBytes: 1,
    });
    const streamed = stream();
    await clock.advanceAsync(999);
    expect(ran).toEqual([]);
    await clock.advanceAsync(1);
    expect(await streamed.outcome).toMatchObject({ failure: { code: "CLIENT_ABORTED" } });
    expect(ran).toEqual([]);
    expect(made).toHaveLength(1);
    expectNothingHeld();
    await clock.advanceAsync(20);
    expect(clock.pendingTimers).toBe(0);
  });

  it("I1 is no reason for a kill to wait", async () => {
    const { stream, clock, guard, expectNothingHeld } = bench([{ calls: cities }], {
      bufferBytes: 1,
    });
    const streamed = stream();
    await clock.advanceAsync(10);
    guard.kill();
    expect(await streamed.outcome).toMatchObject({ failure: { code: "KILLED" } });
    expectNothingHeld();
  });

  it("and goes on in time gets the whole answer", async () => {
    const { stream, clock } = bench([{ calls: cities }, { text: "Rain in both." }], {
      bufferBytes: 1,
    });
    const streamed = stream();
    await clock.advanceAsync(900);
    const types: string[] = [];
    const done = (async () => {
      for await (const { type } of streamed) types.push(type);
    })();
    await clock.advanceAsync(10);
    await done;
    expect(types).toEqual([
      "tool-call",
      "tool-call",
      "tool-result",
      "tool-result",
      "text-delta",
      "usage",
      "finish",
    ]);
  });
});

describe("without tools of the guard", () => {
  it("what a model calls is not run: its text is judged", async () => {
    const provider = fakeProvider<string>({
      onCall: (made) =>
        made.reply({ ...textReply("text"), toolCalls: asks.calls } as ProviderReply),
    });
    const guard = createGuard({
      feature: "chat_ai",
      contract: contracts.text,
      failed: ({ code }) => ({ status: "FAILED", code }) as const,
      stub: () => ({ status: "STUB", reply: "stub" }) as const,
      provider,
      flags: staticFlags({ chat_ai: { enabled: true } }),
      onFailure: "failed",
      clock: new FakeClock(),
      sinks: [() => 0],
    });
    expect(await guard.run("what?", { subject: "ann" })).toMatchObject({ status: "SUCCEEDED" });
    expect(provider.calls).toHaveLength(1);
  });
});
