import { defineContract, FailureCode, type StreamEvent } from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  textReply,
  type FakeProvider,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createGuard, memoryAdmission, staticFlags, type StaticFlags } from "./index.ts";

const textContract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(3) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
  text: { field: "reply", maxChars: 100, forbidden: ["secret"] },
});

type Event = StreamEvent<unknown, unknown, unknown>;
interface Question {
  readonly text: string;
}

const question: Question = { text: "hello" };
const request = { subject: "ann", run: "run" };

function textGuard(
  more: {
    readonly providers?: readonly FakeProvider<Question>[];
    readonly onFailure?: "failed" | "stub";
    readonly flags?: StaticFlags;
    readonly bufferBytes?: number;
  } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const flags = more.flags ?? staticFlags({ chat_ai: { enabled: true } });
  const providers = more.providers ?? [fakeProvider<Question>({ streams: true })];
  const guard = createGuard({
    feature: "chat_ai",
    contract: textContract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "STUB", reply: "a person answers" }),
    route: {
      providers,
      candidates: providers.map(({ name }) => ({ provider: name })),
      strategy: "failover",
      failover: true,
    },
    flags,
    clock,
    budget: { tokensPerRun: 1000, maxOutputTokens: 50 },
    admission: memoryAdmission({ globalInFlight: { limit: 10 }, clock }),
    onFailure: more.onFailure ?? "failed",
    retry: { maxRetries: 0 },
    stream: { bufferBytes: more.bufferBytes ?? 64 * 1024, stallMs: 1000 },
    sinks: [record.sink],
  });
  return {
    guard,
    providers,
    provider: providers[0] as FakeProvider<Question>,
    clock,
    record,
    flags,
  };
}

/** Reads in the background; what came so far is in the array. */
function reading(stream: AsyncIterable<Event>): {
  readonly events: Event[];
  readonly done: Promise<void>;
} {
  const events: Event[] = [];
  const done = (async () => {
    for await (const event of stream) events.push(event);
  })();
  return { events, done };
}

const textOf = (events: readonly Event[]): string =>
  events.map((event) => (event.type === "text-delta" ? event.text : "")).join("");

describe("a stream under a contract of plain text", () => {
  it("lets each piece through as it comes, and ends with the valid whole", async () => {
    const { guard, provider, clock } = textGuard();
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    provider.last().emit({ type: "progress" }, delta("Hel"));
    await clock.advanceAsync(0);
    expect(events).toEqual([{ type: "text-delta", text: "Hel" }]);
    provider
      .last()
      .emit(delta("lo"), { type: "usage", usage: { inputTokens: 3, outputTokens: 2 } });
    provider.last().emit({ type: "finish" });
    await done;
    expect(events.map(({ type }) => type)).toEqual(["text-delta", "text-delta", "usage", "finish"]);
    expect(events.at(-1)).toMatchObject({
      outcome: {
        status: "SUCCEEDED",
        value: { status: "OK", reply: "Hello" },
        record: { selectedProvider: "fake", fallbackUsed: false, usage: { outputTokens: 2 } },
      },
    });
    expect(guard.budget.use("run")).toMatchObject({ tokens: 5 });
    expect(guard.inFlight).toBe(0);
    expect(clock.pendingTimers).toBe(1);
    guard.close();
  });

  it("asks the provider for plain text, as a stream", async () => {
    const { guard, provider, clock } = textGuard();
    const { done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    expect(provider.last()).toMatchObject({ streams: true, asked: { schema: undefined } });
    provider.last().emit(delta("fine"), { type: "finish" });
    await done;
  });

  it("tells its head with the first content, and not with what is none", async () => {
    const { guard, provider, clock } = textGuard();
    const stream = guard.stream(question, request);
    let head: unknown;
    void (async () => {
      head = await stream.head;
    })();
    await clock.advanceAsync(0);
    provider.last().emit({ type: "progress" });
    await clock.advanceAsync(0);
    expect(head).toBeUndefined();
    provider.last().emit(delta("a"));
    await clock.advanceAsync(0);
    expect(head).toMatchObject({ decision: { effect: "allow" } });
    expect(head).not.toHaveProperty("outcome");
    stream.cancel();
    await stream.outcome;
  });

  it("I2 never lets a forbidden pattern leave, in whatever pieces it comes", async () => {
    const { guard, provider, clock } = textGuard();
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    provider.last().emit(delta("the Sec"), delta("RET"), delta(" is out"));
    await clock.advanceAsync(0);
    await done;
    expect(textOf(events)).toBe("the ");
    expect(events.at(-1)).toMatchObject({
      type: "failed",
      outcome: { failure: { code: FailureCode.OUTPUT_SCHEMA_INVALID } },
    });
    expect(provider.last()).toMatchObject({ left: true });
  });

  it("stops at the contract's length", async () => {
    const { guard, provider, clock } = textGuard();
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    provider.last().emit(delta("x".repeat(100)), delta("y"));
    await done;
    expect(textOf(events)).toBe("x".repeat(100));
    expect(events.at(-1)).toMatchObject({ type: "failed" });
  });

  it("says failed where the whole does not parse, though it flowed", async () => {
    const { guard, provider, clock } = textGuard();
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    provider.last().emit(delta("no"), { type: "finish" });
    await done;
    expect(events.map(({ type }) => type)).toEqual(["text-delta", "failed"]);
  });

  it("takes the answer of a provider that can't stream as one piece", async () => {
    const provider = fakeProvider<Question>({ onCall: (call) => call.reply(textReply("whole")) });
    const { guard } = textGuard({ providers: [provider] });
    const { events, done } = reading(guard.stream(question, request));
    await done;
    expect(events.map(({ type }) => type)).toEqual(["text-delta", "finish"]);
    expect(textOf(events)).toBe("whole");
  });
});

const pair = () => [
  fakeProvider<Question>({ name: "first", streams: true }),
  fakeProvider<Question>({ name: "second", streams: true }),
];

describe("failover of a stream", () => {
  it("before the first content is complete and invisible", async () => {
    const { guard, providers, clock } = textGuard({ providers: pair() });
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    providers[0]?.last().emit({ type: "progress" });
    providers[0]?.last().cut();
    await clock.advanceAsync(0);
    providers[1]?.last().emit(delta("from the second"), { type: "finish" });
    await done;
    expect(textOf(events)).toBe("from the second");
    expect(events.at(-1)).toMatchObject({
      type: "finish",
      outcome: {
        record: {
          selectedProvider: "first",
          fallbackProvider: "second",
          fallbackUsed: true,
          attempts: [{ provider: "first", code: "STREAM_CUT" }, { provider: "second" }],
        },
      },
    });
  });

  it("never happens after content: a cut answer is not glued to another", async () => {
    const { guard, providers, clock } = textGuard({ providers: pair(), onFailure: "stub" });
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    providers[0]?.last().emit(delta("half of"));
    providers[0]?.last().cut();
    await done;
    expect(textOf(events)).toBe("half of");
    expect(providers[1]?.calls).toEqual([]);
    expect(events.at(-1)).toMatchObject({
      type: "failed",
      outcome: { status: "FAILED", path: "ai", failure: { code: "STREAM_CUT" } },
    });
  });

  it("may happen while all that came is held back", async () => {
    const { guard, providers, clock } = textGuard({ providers: pair() });
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    providers[0]?.last().emit(delta("sec"));
    providers[0]?.last().cut();
    await clock.advanceAsync(0);
    providers[1]?.last().emit(delta("second"), { type: "finish" });
    await done;
    expect(textOf(events)).toBe("second");
  });
});

describe("a stream that is stopped", () => {
  it("I1 by a kill before content gets the safe path", async () => {
    const { guard, provider, clock } = textGuard();
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    guard.kill();
    await done;
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(textOf(events)).toBe("a person answers");
    expect(events.at(-1)).toMatchObject({ type: "finish", outcome: { status: "STUBBED" } });
    expect(guard.inFlight).toBe(0);
  });

  it("I1 I13 by a flag after content is aborted within 50 ms and says failed", async () => {
    const { guard, provider, clock, flags } = textGuard();
    const { events, done } = reading(guard.stream(question, request));
    await clock.advanceAsync(0);
    provider.last().emit(delta("half"));
    await clock.advanceAsync(0);
    flags.set("chat_ai", { killed: true });
    await clock.advanceAsync(50);
    await done;
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(events.at(-1)).toMatchObject({
      type: "failed",
      outcome: { failure: { code: "KILLED" }, value: { status: "FAILED", code: "KILLED" } },
    });
  });

  it("by its reader, who leaves the loop, charges the prompt and what was seen", async () => {
    const { guard, provider, clock } = textGuard();
    const stream = guard.stream(question, request);
    await clock.advanceAsync(0);
    provider.last().emit(delta("12345"), delta("67890"));
    await clock.advanceAsync(0);
    for await (const event of stream) {
      expect(event.type).toBe("text-delta");
      break;
    }
    expect(await stream.outcome).toMatchObject({ failure: { code: "CLIENT_ABORTED" } });
    expect(provider.last()).toMatchObject({ left: true, asked: { signal: { aborted: true } } });
    expect(guard.budget.use("run").tokens).toBe(10);
    expect(guard.inFlight).toBe(0);
  });

  it("by the request's signal ends with its terminal event", async () => {
    const { guard, provider, clock } = textGuard();
    const controller = new AbortController();
    const { events, done } = reading(
      guard.stream(question, { ...request, signal: controller.signal }),
    );
    await clock.advanceAsync(0);
    provider.last().emit(delta("some"));
    await clock.advanceAsync(0);
    controller.abort();
    await done;
    expect(events.at(-1)).toMatchObject({ outcome: { failure: { code: "CLIENT_ABORTED" } } });
  });

  it.each([
    ["without first content", [], 20_000, "PROVIDER_TIMEOUT"],
    ["that goes silent", [delta("some")], 10_020, "STREAM_STALLED"],
  ] as const)("by its clocks: one %s", async (_, events, ms, code) => {
    const { guard, provider, clock } = textGuard();
    const stream = guard.stream(question, request);
    await clock.advanceAsync(0);
    provider.last().emit(...events);
    await clock.advanceAsync(ms);
    expect(await stream.outcome).toMatchObject({ failure: { code } });
    // What was cut off keeps its reservation: nobody knows what the upstream counted.
    expect(guard.budget.use("run").tokens).toBe(50);
  });

  it("lives on while signs of life come, with no content among them", async () => {
    const { guard, provider, clock } = textGuard();
    const stream = guard.stream(question, request);
    await clock.advanceAsync(0);
    provider.last().emit(delta("some"));
    for (let second = 0; second < 20; second += 5) {
      await clock.advanceAsync(5000);
      provider.last().emit({ type: "progress" });
    }
    provider.last().emit({ type: "finish" });
    expect(await stream.outcome).toMatchObject({ status: "SUCCEEDED" });
  });
});

describe("a slow reader", () => {
  it("I12 slows the upstream: no more is taken than the buffer holds", async () => {
    // Two events of 8 bytes, and what each takes besides.
    const { guard, provider, clock } = textGuard({ bufferBytes: 2 * (8 + 128) });
    const stream = guard.stream(question, request);
    await clock.advanceAsync(0);
    provider
      .last()
      .emit(...Array.from({ length: 10 }, () => delta("12345678")), { type: "finish" });
    await clock.advanceAsync(100);
    expect(provider.last().taken).toBe(3);
    const { events, done } = reading(stream);
    await done;
    expect(textOf(events)).toHaveLength(80);
    expect(events.at(-1)).toMatchObject({ type: "finish" });
  });

  it("that stops reading is cut after the stall limit, and the upstream with it", async () => {
    const { guard, provider, clock } = textGuard({ bufferBytes: 20 });
    const stream = guard.stream(question, request);
    await clock.advanceAsync(0);
    provider.last().emit(...Array.from({ length: 10 }, () => delta("12345678")));
    await clock.advanceAsync(1020);
    expect(await stream.outcome).toMatchObject({ failure: { code: "CLIENT_ABORTED" } });
    expect(provider.last().left).toBe(true);
    expect(guard.inFlight).toBe(0);
    const { events, done } = reading(stream);
    await done;
    expect(events.at(-1)).toMatchObject({ type: "failed" });
  });

  it("does not make the upstream look silent", async () => {
    const { guard, provider, clock } = textGuard({ bufferBytes: 20 });
    const stream = guard.stream(question, request);
    await clock.advanceAsync(0);
    provider.last().emit(...Array.from({ length: 4 }, () => delta("12345678")), { type: "finish" });
    await clock.advanceAsync(900);
    const { done } = reading(stream);
    await done;
    expect(await stream.outcome).toMatchObject({ status: "SUCCEEDED" });
  });
});

describe("a stream of a request that meets no model", () => {
  it("is the safe path's answer where it was diverted", async () => {
    const { guard } = textGuard({ flags: staticFlags({ chat_ai: { enabled: false } }) });
    const stream = guard.stream(question, request);
    const { events, done } = reading(stream);
    await done;
    expect(events.map(({ type }) => type)).toEqual(["text-delta", "finish"]);
    expect(await stream.head).toMatchObject({ outcome: { status: "STUBBED" } });
  });

  it("fails before content with everything still free to the host", async () => {
    const provider = fakeProvider<Question>({
      streams: true,
      onCall: (call) => call.emit({ type: "failed", failure: errorReply("PROVIDER_BAD_REQUEST") }),
    });
    const { guard } = textGuard({ providers: [provider] });
    const stream = guard.stream(question, request);
    expect(await stream.head).toMatchObject({
      outcome: { status: "FAILED", failure: { code: "PROVIDER_BAD_REQUEST" } },
    });
  });

  it("nobody has to read", async () => {
    const provider = fakeProvider<Question>({
      streams: true,
      onCall: (call) => call.emit(delta("fine"), { type: "finish" }),
    });
    const { guard, record } = textGuard({ providers: [provider] });
    expect(await guard.stream(question, request).outcome).toMatchObject({ status: "SUCCEEDED" });
    guard.flush();
    expect(record.events.filter(({ event }) => event === "outcome")).toHaveLength(1);
  });
});
