import { Reason, type AdmissionStore, type ToolCall } from "@sluice/contract";
import { fakeAdmissionStore, FakeClock, type PendingToolCall } from "@sluice/testkit";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { memoryAdmission } from "../stores/memory-admission.ts";
import { defineTool, type Tool, type ToolContext } from "./define-tools.ts";
import { toolQueueOptionsSchema } from "./tool-queue-options.ts";
import { createTools, type ToolRun, type ToolsOptions } from "./run-tools.ts";

const sentinel = "SENTINEL-7c1f";

/** A tool whose calls a test ends. */
function heldTool(options: { readonly timeoutMs?: number } = {}) {
  const calls: {
    readonly args: { readonly words: string };
    readonly context: ToolContext;
    readonly answer: (value: unknown) => void;
    readonly fail: (error: unknown) => void;
  }[] = [];
  const tool = defineTool({
    description: "Searches.",
    input: z.object({ words: z.string() }),
    ...options,
    run(args, context) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      calls.push({ args, context, answer: resolve, fail: reject });
      return promise;
    },
  });
  return { tool, calls };
}

const defaultQueue = toolQueueOptionsSchema.parse({});

const nothing = defineTool({ description: "Does nothing.", input: z.object({}), run: () => null });

const returning = (value: () => unknown) =>
  defineTool({ description: "Returns.", input: z.object({}), run: value });

function bench(tools: Readonly<Record<string, Tool>>, options: Partial<ToolsOptions> = {}) {
  const clock = new FakeClock();
  const thrown: string[] = [];
  let ids = 0;
  const made = createTools({
    where: "createGuard.tools",
    tools,
    queue: defaultQueue,
    maxSteps: 8,
    admission: undefined,
    enforceQueue: () => true,
    clock,
    newId: () => `id${(ids += 1)}`,
    onThrow: (what) => thrown.push(what),
    ...options,
  });
  const stops = new Set<() => void>();
  const request = { shut: undefined as Reason | undefined };
  const run: ToolRun = {
    subject: "ann",
    run: "run-1",
    requestId: "req-1",
    shut: () => request.shut,
    deadlineMs: Number.POSITIVE_INFINITY,
    onStop(stop) {
      stops.add(stop);
      return () => void stops.delete(stop);
    },
  };
  return {
    clock,
    thrown,
    tools: made,
    request,
    listening: stops,
    stop: () => {
      for (const stop of stops) stop();
    },
    runAll: (calls: readonly ToolCall[], over: Partial<ToolRun> = {}) =>
      made.runAll(calls, { ...run, ...over }),
    /** What came of one call. */
    one: async (name: string, args: string) => {
      const { results, records } = await made.runAll([call(name, args)], run);
      return { output: results[0]?.output, record: records[0] };
    },
  };
}

let lastCall = 0;
const call = (name: string, args: string): ToolCall => ({
  id: `call-${(lastCall += 1)}`,
  name,
  arguments: args,
});

function isJson(text: string): boolean {
  JSON.parse(text);
  return true;
}

const words = (text: string): string => JSON.stringify({ words: text });
const errorOf = (code: string): string => JSON.stringify({ error: code });

const unhandled: unknown[] = [];
const onUnhandled = (error: unknown): void => void unhandled.push(error);
beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", onUnhandled);
});
afterEach(() => {
  process.off("unhandledRejection", onUnhandled);
  // oxlint-disable-next-line vitest/no-standalone-expect -- of every test
  expect(unhandled).toEqual([]);
});

describe("one turn's tool calls", () => {
  it("all run at the same time, and give their results and records in the order of the calls", async () => {
    const search = heldTool();
    const { clock, runAll } = bench({ search: search.tool, nothing });
    const calls = [call("search", words("a")), call("nothing", "{}"), call("search", words("b"))];
    const turn = runAll(calls);
    await clock.advanceAsync(30);
    expect(search.calls.map(({ args }) => args)).toEqual([{ words: "a" }, { words: "b" }]);
    search.calls[1]?.answer(["second"]);
    await clock.advanceAsync(20);
    search.calls[0]?.answer({ first: true });
    expect(await turn).toEqual({
      results: [
        { id: calls[0]?.id, output: '{"first":true}' },
        { id: calls[1]?.id, output: "null" },
        { id: calls[2]?.id, output: '["second"]' },
      ],
      records: [
        { tool: "search", waitMs: 0, latencyMs: 50 },
        { tool: "nothing", waitMs: 0, latencyMs: 0 },
        { tool: "search", waitMs: 0, latencyMs: 30 },
      ],
    });
    expect(clock.pendingTimers).toBe(0);
  });

  it("tell their tool the subject, the run, and a key of their own that begins with the request", async () => {
    const search = heldTool();
    const { clock, runAll } = bench({ search: search.tool });
    const turn = runAll([call("search", words("a")), call("search", words("a"))]);
    await clock.advanceAsync(0);
    expect(search.calls.map(({ context }) => context)).toEqual([
      {
        subject: "ann",
        run: "run-1",
        idempotencyKey: "req-1-id1",
        signal: search.calls[0]?.context.signal,
      },
      {
        subject: "ann",
        run: "run-1",
        idempotencyKey: "req-1-id2",
        signal: search.calls[1]?.context.signal,
      },
    ]);
    for (const held of search.calls) held.answer(1);
    await turn;
  });

  it("are sixteen at most; what is beyond is told so, and does not run", async () => {
    let ran = 0;
    const { runAll } = bench({ count: returning(() => (ran += 1)) });
    const { results, records } = await runAll(
      Array.from({ length: 20 }, () => call("count", "{}")),
    );
    expect(ran).toBe(16);
    expect(results.map(({ output }) => output).slice(15)).toEqual([
      "16",
      ...Array.from({ length: 4 }, () => errorOf("TOO_MANY_CALLS")),
    ]);
    expect(records[19]).toEqual({ tool: "count", code: "TOO_MANY_CALLS", waitMs: 0, latencyMs: 0 });
  });

  it("may be none", async () => {
    expect(await bench({ nothing }).runAll([])).toEqual({ results: [], records: [] });
  });
});

describe("what the model is told", () => {
  it.each([
    ["a text", "plain", '"plain"'],
    ["an object", { a: [1, null] }, '{"a":[1,null]}'],
    ["nothing", undefined, "null"],
    ["a function", () => 1, "null"],
    ["a promise of a value", Promise.resolve({ late: true }), '{"late":true}'],
  ])("is a tool's value as JSON: %s", async (_, value, output) => {
    const { one } = bench({ get: returning(() => value) });
    expect((await one("get", "{}")).output).toBe(output);
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error(sentinel);
      },
    ],
    ["rejects", () => Promise.reject(new Error(sentinel))],
    [
      "throws what is no error",
      () => {
        throw sentinel as unknown as Error;
      },
    ],
    [
      "returns what JSON has no form for",
      () => ({
        toJSON() {
          throw new Error(sentinel);
        },
      }),
    ],
    ["returns a bigint", () => 5n],
    [
      "returns itself",
      () => {
        const self: Record<string, unknown> = {};
        self["self"] = self;
        return self;
      },
    ],
    [
      "returns a broken promise",
      () => ({
        // oxlint-disable-next-line unicorn/no-thenable -- a broken one is what is tried
        get then() {
          throw new Error(sentinel);
        },
      }),
    ],
  ])("I5 is only that it threw, of a tool that %s", async (_, run: () => unknown) => {
    const { one, thrown } = bench({ bad: returning(run) });
    const end = await one("bad", "{}");
    expect(end.output).toBe(errorOf("TOOL_THREW"));
    expect(end.record).toEqual({ tool: "bad", code: "TOOL_THREW", waitMs: 0, latencyMs: 0 });
    expect(thrown).toEqual(["the tool bad"]);
  });

  it("I12 is no result beyond 256 KiB of JSON", async () => {
    const { one } = bench({
      fits: returning(() => "x".repeat(256 * 1024 - 2)),
      big: returning(() => "x".repeat(256 * 1024 - 1)),
      wide: returning(() => "ä".repeat(128 * 1024)),
    });
    expect((await one("fits", "{}")).record?.code).toBeUndefined();
    for (const name of ["big", "wide"]) {
      expect(await one(name, "{}")).toMatchObject({
        output: errorOf("RESULT_TOO_LARGE"),
        record: { tool: name, code: "RESULT_TOO_LARGE" },
      });
    }
  });

  it("is that a tool is unknown; the record does not repeat the model's word for it", async () => {
    const { one } = bench({ nothing });
    for (const name of [sentinel, "constructor", "__proto__", "toString", ""]) {
      const { output, record } = await one(name, "{}");
      expect(output).toBe(errorOf("UNKNOWN_TOOL"));
      expect(record).toEqual({ tool: "unknown", code: "UNKNOWN_TOOL", waitMs: 0, latencyMs: 0 });
    }
  });
});

describe("arguments", () => {
  const strict = defineTool({
    description: "Adds.",
    input: z.object({ a: z.number(), b: z.number() }),
    run: ({ a, b }) => a + b,
  });
  const loose = defineTool({
    description: "Keeps what it does not know.",
    input: z.object({}).catchall(z.object({ admin: z.boolean() })),
    run: (args) => Object.keys(args),
  });

  it.each([
    "",
    "{",
    "null",
    "[1,2]",
    '"a"',
    '{"a":1}',
    '{"a":1,"b":"2"}',
    '{"a":1,"b":2}x',
    `{"a":1,"b":2,"c":"${"x".repeat(64 * 1024)}"}`,
    `{"a":1,"b":2}${" ".repeat(64 * 1024)}`,
    "[".repeat(60_000),
  ])("that do not parse run nothing: %#", async (text) => {
    let ran = false;
    const { one, tools } = bench({
      add: { ...strict, run: () => (ran = true) },
    });
    expect(await one("add", text)).toEqual({
      output: errorOf("ARGUMENTS_INVALID"),
      record: { tool: "add", code: "ARGUMENTS_INVALID", waitMs: 0, latencyMs: 0 },
    });
    expect(tools.parse(call("add", text))).toEqual({ ok: false, code: "ARGUMENTS_INVALID" });
    expect(ran).toBe(false);
  });

  it("are what the schema made of them", async () => {
    const { one, tools } = bench({ add: strict });
    expect((await one("add", '{"a":1,"b":2,"c":3}')).output).toBe("3");
    expect(tools.parse(call("add", '{"a":1,"b":2,"c":3}'))).toEqual({
      ok: true,
      input: { a: 1, b: 2 },
    });
    expect(tools.parse(call("sub", "{}"))).toEqual({ ok: false, code: "UNKNOWN_TOOL" });
  });

  it("may be left out where a tool takes none", async () => {
    expect((await bench({ nothing }).one("nothing", " ")).output).toBe("null");
  });

  it("never reach a prototype", async () => {
    const { one } = bench({ loose });
    for (const text of [
      '{"__proto__":{"admin":true}}',
      '{"a":{"admin":true,"__proto__":{"admin":true}}}',
      '{"\\u005f_proto__":{"admin":true}}',
    ]) {
      expect((await one("loose", text)).record?.code, text).toBe("ARGUMENTS_INVALID");
    }
    expect((await one("loose", '{"constructor":{"admin":true}}')).output).toBe('["constructor"]');
    expect({}).not.toHaveProperty("admin");
  });

  it("that make a check of the schema throw are not valid", async () => {
    const checked = defineTool({
      description: "Checks.",
      input: z.object({
        a: z.string().refine(() => {
          throw new Error(sentinel);
        }),
      }),
      run: () => 1,
    });
    expect((await bench({ checked }).one("checked", '{"a":"b"}')).output).toBe(
      errorOf("ARGUMENTS_INVALID"),
    );
  });

  it("of any text give a result, and never reject", async () => {
    const { one } = bench({ add: strict, loose });
    const texts = fc.oneof(fc.string({ unit: "binary" }), fc.json());
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("add", "loose"), texts, async (name, text) => {
        const { output } = await one(name, text);
        expect(output).toSatisfy(isJson);
      }),
    );
  });

  it("that do not parse take nothing of the rate", async () => {
    const clock = new FakeClock();
    const admission = memoryAdmission({ toolRate: { count: 1, perMs: 60_000 }, clock });
    const { one } = bench({ nothing }, { admission });
    for (const name of ["unknown", "nothing"]) await one(name, "[");
    expect((await one("nothing", "{}")).output).toBe("null");
    expect((await one("nothing", "{}")).output).toBe(errorOf("TOOL_RATE"));
  });
});

describe("the kill-switch of tools", () => {
  it.each([
    Reason.KILLED,
    Reason.TRIPPED,
    Reason.FLAGS_STALE,
    Reason.FLAG_OFF,
    Reason.NOT_IN_ROLLOUT,
  ])("I1 comes before everything: %s", async (reason) => {
    let ran = false;
    const asked: PendingToolCall[] = [];
    const { one, request, tools } = bench(
      { get: returning(() => (ran = true)) },
      { admission: fakeAdmissionStore({ limit: 1, onTakeTool: (pending) => asked.push(pending) }) },
    );
    request.shut = reason;
    expect(await one("get", "{}")).toEqual({
      output: errorOf(reason),
      record: { tool: "get", code: reason, waitMs: 0, latencyMs: 0 },
    });
    expect(await one(sentinel, "[")).toMatchObject({ output: errorOf(reason) });
    expect([ran, asked.length, tools.queueState().running]).toEqual([false, 0, 0]);
  });

  it("I1 is asked again after the rate and after the queue", async () => {
    const search = heldTool();
    const asked: PendingToolCall[] = [];
    const { clock, runAll, request } = bench(
      { search: search.tool },
      {
        queue: { ...defaultQueue, concurrency: 1 },
        admission: fakeAdmissionStore({ limit: 1, onTakeTool: (pending) => asked.push(pending) }),
      },
    );
    const turn = runAll(["a", "b", "c"].map((text) => call("search", words(text))));
    asked[0]?.answer({ allowed: true });
    asked[1]?.answer({ allowed: true });
    await clock.advanceAsync(10);
    expect(search.calls).toHaveLength(1);
    request.shut = Reason.KILLED;
    asked[2]?.answer({ allowed: true });
    search.calls[0]?.answer("done");
    const { records } = await turn;
    expect(records.map(({ code }) => code)).toEqual([undefined, "KILLED", "KILLED"]);
    expect(records[1]).toEqual({ tool: "search", code: "KILLED", waitMs: 10, latencyMs: 0 });
    expect(search.calls).toHaveLength(1);
  });
});

/** Tools behind a rate whose answers a test gives. */
function askedOf(options: Partial<ToolsOptions> = {}) {
  const asked: PendingToolCall[] = [];
  const admission = fakeAdmissionStore({ limit: 1, onTakeTool: (one) => asked.push(one) });
  return { asked, ...bench({ nothing }, { admission, ...options }) };
}

describe("the rate of tools", () => {
  it("refuses what is too fast, without running it", async () => {
    const { asked, one } = askedOf();
    const end = one("nothing", "{}");
    expect(asked[0]?.subject).toBe("ann");
    asked[0]?.answer({ allowed: false, reason: Reason.TOOL_RATE, retryAfterMs: 5 });
    expect(await end).toEqual({
      output: errorOf("TOOL_RATE"),
      record: { tool: "nothing", code: "TOOL_RATE", waitMs: 0, latencyMs: 0 },
    });
  });

  it("in shadow refuses nothing, and says what it would have", async () => {
    const clock = new FakeClock();
    const admission = memoryAdmission({
      toolRate: { count: 1, perMs: 1e6, mode: "shadow" },
      clock,
    });
    const { one } = bench({ nothing }, { admission });
    expect((await one("nothing", "{}")).record).toEqual({
      tool: "nothing",
      waitMs: 0,
      latencyMs: 0,
    });
    expect(await one("nothing", "{}")).toEqual({
      output: "null",
      record: { tool: "nothing", waitMs: 0, latencyMs: 0, would: "TOOL_RATE" },
    });
  });

  it("is none where the store has none, or there is no store", async () => {
    for (const admission of [undefined, fakeAdmissionStore({ limit: 1 })]) {
      expect((await bench({ nothing }, { admission }).one("nothing", "{}")).output).toBe("null");
    }
  });

  it.each([
    ["can't tell", (pending: PendingToolCall | undefined) => pending?.answer("unavailable")],
    ["rejects", (pending: PendingToolCall | undefined) => pending?.fail(new Error(sentinel))],
    ["forgets to answer", () => undefined],
  ])("of a store that %s is closed, or open where that is set", async (_, answer) => {
    for (const [onIndeterminate, output] of [
      ["closed", errorOf("STORE_UNAVAILABLE")],
      ["open", "null"],
    ] as const) {
      const { asked, clock, one } = askedOf({ rate: { mode: "enforce", onIndeterminate } });
      const end = one("nothing", "{}");
      answer(asked[0]);
      await clock.advanceAsync(2000);
      expect((await end).output).toBe(output);
      expect(clock.pendingTimers).toBe(0);
    }
  });

  it("is told of a store that throws", async () => {
    const admission: AdmissionStore = {
      ...fakeAdmissionStore({ limit: 1 }),
      takeTool: () => {
        throw new Error(sentinel);
      },
    };
    const { one, thrown } = bench({ nothing }, { admission });
    expect((await one("nothing", "{}")).output).toBe(errorOf("STORE_UNAVAILABLE"));
    expect(thrown).toEqual(["the tool rate"]);
  });

  it("is obeyed as its gate is: recorded in shadow, not asked when off", async () => {
    const shadow = askedOf({ rate: { mode: "shadow", onIndeterminate: "closed" } });
    const end = shadow.one("nothing", "{}");
    shadow.asked[0]?.answer({ allowed: false, reason: Reason.TOOL_RATE, retryAfterMs: 5 });
    expect(await end).toMatchObject({ output: "null", record: { would: "TOOL_RATE" } });

    const off = askedOf({ rate: { mode: "off", onIndeterminate: "closed" } });
    expect(await off.one("nothing", "{}")).toMatchObject({ output: "null" });
    expect(off.asked).toEqual([]);
  });

  it("is not waited for beyond the request's deadline", async () => {
    const { runAll, clock } = askedOf();
    const turn = runAll([call("nothing", "{}")], { deadlineMs: 50 });
    await clock.advanceAsync(50);
    expect((await turn).records).toMatchObject([{ code: "STORE_UNAVAILABLE" }]);
  });

  it("is not waited for by a request that is stopped", async () => {
    const { one, stop, clock } = askedOf();
    const end = one("nothing", "{}");
    stop();
    expect(await end).toMatchObject({ output: errorOf("STOPPED"), record: { code: "STOPPED" } });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("the queue of tools", () => {
  it("makes calls wait for those that run, over all requests", async () => {
    const search = heldTool();
    const { clock, runAll, tools } = bench(
      { search: search.tool },
      { queue: { ...defaultQueue, concurrency: 1 } },
    );
    const first = runAll([call("search", words("a"))]);
    const second = runAll([call("search", words("b"))], { subject: "ben" });
    await clock.advanceAsync(40);
    expect(tools.queueState()).toMatchObject({ running: 1, waiting: 1, oldestAgeMs: 40 });
    search.calls[0]?.answer(1);
    await first;
    await clock.advanceAsync(5);
    search.calls[1]?.answer(2);
    expect((await second).records).toEqual([{ tool: "search", waitMs: 40, latencyMs: 5 }]);
  });

  it("refuses what it has no room for, and what waits too long", async () => {
    const search = heldTool();
    const { clock, runAll } = bench(
      { search: search.tool },
      { queue: { ...defaultQueue, concurrency: 1, maxWaiting: 1, timeoutMs: 100 } },
    );
    const turn = runAll(["a", "b", "c"].map((text) => call("search", words(text))));
    await clock.advanceAsync(100);
    search.calls[0]?.answer(1);
    const { results, records } = await turn;
    expect(results.map(({ output }) => output)).toEqual([
      "1",
      errorOf("TOOL_QUEUE_TIMEOUT"),
      errorOf("TOOL_QUEUE_FULL"),
    ]);
    expect(records.map(({ waitMs }) => waitMs)).toEqual([0, 100, 0]);
  });

  it("keeps nobody beyond the deadline of its request", async () => {
    const search = heldTool();
    const { clock, runAll } = bench(
      { search: search.tool },
      { queue: { ...defaultQueue, concurrency: 1 } },
    );
    const turn = runAll([call("search", words("a")), call("search", words("b"))], {
      deadlineMs: 30,
    });
    await clock.advanceAsync(30);
    search.calls[0]?.answer(1);
    expect((await turn).records[1]).toMatchObject({ code: "TOOL_QUEUE_TIMEOUT", waitMs: 30 });
  });

  it("while it only advises delays nobody, and says what it would have done", async () => {
    const search = heldTool();
    const { clock, runAll } = bench(
      { search: search.tool },
      { queue: { ...defaultQueue, concurrency: 1, maxWaiting: 2 }, enforceQueue: () => false },
    );
    const turn = runAll(["a", "b", "c", "d"].map((text) => call("search", words(text))));
    await clock.advanceAsync(100);
    expect(search.calls).toHaveLength(4);
    for (const held of search.calls) held.answer(1);
    expect((await turn).records).toEqual([
      { tool: "search", waitMs: 0, latencyMs: 100 },
      { tool: "search", waitMs: 100, latencyMs: 100 },
      { tool: "search", waitMs: 200, latencyMs: 100 },
      { tool: "search", waitMs: 0, latencyMs: 100, would: "TOOL_QUEUE_FULL" },
    ]);
  });
});

describe("a tool's time", () => {
  it("is up after its timeout: its signal is aborted, and nobody waits for it", async () => {
    const search = heldTool({ timeoutMs: 250 });
    const { clock, runAll, tools, thrown } = bench({ search: search.tool });
    const turn = runAll([call("search", words("a"))]);
    await clock.advanceAsync(249);
    const { signal } = search.calls[0]?.context ?? {};
    expect(signal?.aborted).toBe(false);
    await clock.advanceAsync(1);
    expect(signal?.aborted).toBe(true);
    expect(await turn).toMatchObject({
      results: [{ output: errorOf("TOOL_TIMEOUT") }],
      records: [{ tool: "search", code: "TOOL_TIMEOUT", waitMs: 0, latencyMs: 250 }],
    });
    expect(tools.queueState().running).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    // What comes of it afterwards is nobody's.
    search.calls[0]?.fail(new Error(sentinel));
    await clock.advanceAsync(10);
    expect(thrown).toEqual([]);
  });

  it("is up at the deadline of its request too", async () => {
    const search = heldTool({ timeoutMs: 250 });
    const { clock, runAll } = bench({ search: search.tool });
    const turn = runAll([call("search", words("a"))], { deadlineMs: 90 });
    await clock.advanceAsync(90);
    expect(search.calls[0]?.context.signal.aborted).toBe(true);
    expect((await turn).records).toMatchObject([{ code: "STOPPED", latencyMs: 90 }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("that is up stays up, whatever the tool makes of its signal", async () => {
    const obedient = defineTool({
      description: "Answers its signal.",
      input: z.object({}),
      timeoutMs: 100,
      run: (_, { signal }) => {
        const { promise, resolve } = Promise.withResolvers<string>();
        signal.addEventListener("abort", () => resolve("too late"));
        return promise;
      },
    });
    const { clock, one } = bench({ obedient });
    const end = one("obedient", "{}");
    await clock.advanceAsync(100);
    expect((await end).output).toBe(errorOf("TOOL_TIMEOUT"));
  });
});

describe("a request that is stopped", () => {
  it("aborts what runs, takes what waits out of the queue, and is answered at once", async () => {
    const search = heldTool();
    const { clock, runAll, tools, stop, listening } = bench(
      { search: search.tool },
      { queue: { ...defaultQueue, concurrency: 1 } },
    );
    const turn = runAll([call("search", words("a")), call("search", words("b"))]);
    await clock.advanceAsync(60);
    stop();
    expect(search.calls[0]?.context.signal.aborted).toBe(true);
    expect(tools.queueState()).toMatchObject({ waiting: 0, waitingBytes: 0 });
    expect((await turn).records).toEqual([
      { tool: "search", code: "STOPPED", waitMs: 0, latencyMs: 60 },
      { tool: "search", code: "STOPPED", waitMs: 60, latencyMs: 0 },
    ]);
    expect(search.calls).toHaveLength(1);
    expect(tools.queueState().running).toBe(0);
    expect([clock.pendingTimers, listening.size]).toEqual([0, 0]);
    search.calls[0]?.answer("late");
    await clock.advanceAsync(0);
  });

  it("I1 by a kill names the kill", async () => {
    const search = heldTool();
    const { clock, runAll, stop, request } = bench(
      { search: search.tool },
      { queue: { ...defaultQueue, concurrency: 1 } },
    );
    const turn = runAll([call("search", words("a")), call("search", words("b"))]);
    await clock.advanceAsync(60);
    request.shut = Reason.KILLED;
    stop();
    const { results, records } = await turn;
    expect(results.map(({ output }) => output)).toEqual([errorOf("KILLED"), errorOf("KILLED")]);
    expect(records.map(({ code }) => code)).toEqual(["KILLED", "KILLED"]);
  });

  it("starts nothing any more that was let in at the same moment", async () => {
    const search = heldTool();
    const { clock, runAll, stop } = bench(
      { search: search.tool },
      { queue: { ...defaultQueue, concurrency: 1 } },
    );
    const turn = runAll([call("search", words("a")), call("search", words("b"))]);
    await clock.advanceAsync(10);
    search.calls[0]?.answer(1);
    await Promise.resolve();
    stop();
    const { records } = await turn;
    expect(records[1]?.code).toBe("STOPPED");
    expect(search.calls).toHaveLength(1);
  });

  it("hears of no stop once its turn has ended", async () => {
    const { runAll, listening, stop } = bench({ nothing });
    await runAll([call("nothing", "{}")]);
    expect(listening.size).toBe(0);
    stop();
  });
});
