import {
  defineContract,
  type Provider,
  type ProviderCall,
  type ProviderEvent,
  type StreamEvent,
} from "@sluice/contract";
import { delta, FakeClock, recordingSink, textReply } from "@sluice/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { createGuard, memoryAdmission, staticFlags } from "./index.ts";

const unhandled: unknown[] = [];
const onUnhandled = (error: unknown): void => void unhandled.push(error);
beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", onUnhandled);
});
afterEach(async () => {
  await new Promise(setImmediate);
  process.off("unhandledRejection", onUnhandled);
  // oxlint-disable-next-line vitest/no-standalone-expect -- of every test
  expect(unhandled).toEqual([]);
});

const members = {
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
};
const textContract = defineContract({
  ok: members.ok,
  failed: members.failed,
  stub: members.stub,
  text: { field: "reply", maxChars: 1000 },
});
const structuredContract = defineContract({
  ok: members.ok,
  failed: members.failed,
  stub: members.stub,
});

type Stream = NonNullable<Provider<string>["stream"]>;
type Event = StreamEvent<unknown, unknown, unknown>;

function bench(
  stream: (call: ProviderCall<string>) => unknown,
  contract: typeof textContract = textContract,
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const admission = memoryAdmission({ globalInFlight: { limit: 1 }, clock });
  const provider: Provider<string> = {
    name: "hostile",
    generate: () => Promise.resolve(textReply("whole")),
    stream: stream as Stream,
  };
  const guard = createGuard({
    feature: "chat_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }) as const,
    stub: () => ({ status: "STUB", reply: "stub" }) as const,
    provider,
    flags: staticFlags({ chat_ai: { enabled: true } }),
    clock,
    admission,
    onFailure: "failed",
    retry: { maxRetries: 0 },
    openTelemetry: false,
    sinks: [record.sink],
  });
  const running = guard.stream("hello", { subject: "ann" });
  const events: Event[] = [];
  const done = (async () => {
    for await (const event of running) events.push(event);
  })();
  return {
    clock,
    guard,
    events,
    /** How it ended; I13 one terminal event, the last; nothing is held. */
    ended: async () => {
      await done;
      const terminal = events.filter(({ type }) => type === "finish" || type === "failed");
      expect(terminal).toEqual([events.at(-1)]);
      const outcome = await running.outcome;
      expect(guard.inFlight).toBe(0);
      expect(admission.acquire("bob")).toMatchObject({ admitted: true });
      guard.flush();
      expect(record.of("outcome")).toHaveLength(1);
      return outcome.status === "FAILED" ? outcome.failure.code : outcome.status;
    },
    text: () => events.map((event) => (event.type === "text-delta" ? event.text : "")).join(""),
  };
}

type Next = () => unknown;

/** A stream of an iterator as odd as a test wants it. */
const iterating = (next: Next, more: { readonly return?: () => unknown } = {}) => ({
  [Symbol.asyncIterator]: () => ({ next, ...more }),
});

/** The events in their order, then `last`. */
const after = (events: readonly unknown[], last: Next): Next => {
  let at = 0;
  return () => {
    if (at >= events.length) return last();
    at += 1;
    return Promise.resolve({ done: false, value: events[at - 1] });
  };
};

const thrower = (): never => {
  throw new Error("planted");
};
const { promise: never } = Promise.withResolvers<never>();
const finish: ProviderEvent = { type: "finish" };

describe("I13 a provider whose stream", () => {
  it.each<[string, (call: ProviderCall<string>) => unknown]>([
    ["throws at once", thrower],
    ["rejects instead of streaming", () => Promise.reject(new Error("planted")).catch(() => 0)],
    ["is nothing", () => undefined],
    ["can't be iterated", () => ({})],
    ["throws when it is iterated", () => ({ [Symbol.asyncIterator]: thrower })],
    ["is an iterator of nothing", () => ({ [Symbol.asyncIterator]: () => undefined })],
    ["throws on the first event", () => iterating(thrower)],
    ["rejects on the first event", () => iterating(() => Promise.reject(new Error("planted")))],
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- as a provider may
    ["rejects with nothing", () => iterating(() => Promise.reject())],
    ["gives no result", () => iterating(() => Promise.resolve(undefined))],
    [
      "gives a result that throws when it is read",
      () =>
        iterating(() =>
          Promise.resolve({
            get done() {
              return thrower();
            },
          }),
        ),
    ],
    [
      "rejects after content",
      () => iterating(after([delta("half")], () => Promise.reject(new Error("planted")))),
    ],
  ])("%s is a defect", async (_, stream) => {
    expect(await bench(stream).ended()).toBe("INTERNAL");
  });

  it.each<[string, unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a string", "text"],
    ["an array", []],
    ["of no type", {}],
    ["of an unknown type", { type: "surprise" }],
    ["of an inherited name as its type", { type: "toString" }],
    ["a delta without text", { type: "text-delta" }],
    ["a delta of a number", { type: "text-delta", text: 5 }],
    ["reasoning without text", { type: "reasoning-delta" }],
    ["reasoning of a number", { type: "reasoning-delta", text: 5 }],
    ["a call of nothing", { type: "tool-call" }],
    [
      "a call whose arguments are no text",
      { type: "tool-call", call: { id: "1", name: "a", arguments: {} } },
    ],
    ["a failure of nothing", { type: "failed" }],
    ["a failure that says it went well", { type: "failed", failure: textReply("fine") }],
    ["a failure of no known code", { type: "failed", failure: { ok: false, code: "OOPS" } }],
    [
      "one that throws when it is read",
      {
        get type() {
          return thrower();
        },
      },
    ],
  ])("emits garbage is a defect: %s", async (_, event) => {
    const { ended, text } = bench(() =>
      iterating(after([delta("half"), event, delta("more"), finish], () => never)),
    );
    expect(await ended()).toBe("INTERNAL");
    expect(text()).toBe("half");
  });

  it.each([
    {},
    { inputTokens: -1, outputTokens: 1 },
    { inputTokens: Number.NaN, outputTokens: 1 },
    null,
  ])("tells a usage of %j is heard as telling none", async (usage) => {
    const { ended, events } = bench(() =>
      iterating(after([delta("fine"), { type: "usage", usage }, finish], () => never)),
    );
    expect(await ended()).toBe("SUCCEEDED");
    expect(events.map(({ type }) => type)).toEqual(["text-delta", "finish"]);
  });

  it.each<[string, () => unknown]>([
    ["throws", thrower],
    ["rejects", () => Promise.reject(new Error("planted"))],
    ["never settles", () => never],
  ])("is left with a return() that %s ends all the same", async (_, leave) => {
    const finished = bench(() =>
      iterating(
        after([delta("fine"), finish], () => never),
        { return: leave },
      ),
    );
    expect(await finished.ended()).toBe("SUCCEEDED");

    const killed = bench(() =>
      iterating(
        after([delta("half")], () => never),
        { return: leave },
      ),
    );
    await killed.clock.advanceAsync(0);
    killed.guard.kill();
    expect(await killed.ended()).toBe("KILLED");
  });

  it("whose return can't even be looked up ends all the same", async () => {
    const { ended } = bench(() => ({
      [Symbol.asyncIterator]: () => ({
        next: after([delta("fine"), finish], () => never),
        get return() {
          return thrower();
        },
      }),
    }));
    expect(await ended()).toBe("SUCCEEDED");
  });

  it("emits after its finish is not heard any more", async () => {
    const { ended, text } = bench(() =>
      iterating(
        after([delta("fine"), finish, delta(" and more"), { type: "failed" }], () => never),
      ),
    );
    expect(await ended()).toBe("SUCCEEDED");
    expect(text()).toBe("fine");
  });

  it("rejects only after it was stopped is nobody's unhandled rejection", async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    const { clock, ended, guard } = bench(() => iterating(() => promise));
    await clock.advanceAsync(0);
    guard.kill();
    expect(await ended()).toBe("STUBBED");
    reject(new Error("planted"));
  });
});

describe("a provider whose stream never ends", () => {
  it.each<[string, readonly ProviderEvent[], number, string]>([
    ["says nothing at all", [], 20_000, "PROVIDER_TIMEOUT"],
    ["goes silent after content", [delta("half")], 10_020, "STREAM_STALLED"],
  ])("and %s is cut by its clock", async (_, events, ms, code) => {
    const { clock, ended } = bench(() => iterating(after(events, () => never)));
    await clock.advanceAsync(ms - 100);
    await clock.advanceAsync(100);
    expect(await ended()).toBe(code);
  });

  it.each<[string, readonly ProviderEvent[], ProviderEvent, number]>([
    ["empty deltas", [], delta(""), 20_000],
    ["signs of life", [], { type: "progress" }, 20_000],
    ["usages", [], { type: "usage", usage: { inputTokens: 1, outputTokens: 1 } }, 20_000],
    ["empty deltas after content", [delta("half")], delta(""), 30_000],
  ])(
    "and floods with %s, never waiting, is cut by its clock and lets others run",
    async (_, first, event, ms) => {
      let taken = 0;
      const { clock, ended } = bench(() =>
        iterating(
          after(first, () => {
            taken += 1;
            return Promise.resolve({ done: false, value: event });
          }),
        ),
      );
      // Were it not to let others have their turn, this would never come back.
      await clock.advanceAsync(ms);
      expect(await ended()).toBe("PROVIDER_TIMEOUT");
      const soFar = taken;
      await new Promise(setImmediate);
      expect(taken).toBe(soFar);
    },
  );

  it("I1 is stopped by a kill while it floods", async () => {
    const { clock, ended, guard } = bench(() =>
      iterating(() => Promise.resolve({ done: false, value: delta("") })),
    );
    await clock.advanceAsync(100);
    guard.kill();
    expect(await ended()).toBe("STUBBED");
  });

  it("I12 and writes without end is stopped at what is held back at most", async () => {
    let bytes = 0;
    const { ended } = bench(
      () =>
        iterating(() => {
          bytes += 64 * 1024;
          return Promise.resolve({ done: false, value: delta("x".repeat(64 * 1024)) });
        }),
      structuredContract,
    );
    expect(await ended()).toBe("OUTPUT_SCHEMA_INVALID");
    expect(bytes).toBeLessThanOrEqual(8 * 1024 * 1024 + 64 * 1024);
  });

  it("I12 and calls tools without end is stopped", async () => {
    let calls = 0;
    const { ended } = bench(() =>
      iterating(() => {
        calls += 1;
        const call = { id: String(calls), name: "tool", arguments: "{}" };
        return Promise.resolve({ done: false, value: { type: "tool-call", call } });
      }),
    );
    expect(await ended()).toBe("INTERNAL");
    expect(calls).toBe(129);
  });
});
