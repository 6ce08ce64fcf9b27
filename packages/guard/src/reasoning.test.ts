import { defineContract, type ProviderEvent, type StreamEvent } from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  type FakeProvider,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createGuard, staticFlags, type StreamOptions } from "./index.ts";

const members = {
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
};
const contracts = {
  text: defineContract({
    ...members,
    text: { field: "reply", maxChars: 100, forbidden: ["secret"] },
  }),
  structured: defineContract(members),
};

type Event = StreamEvent<unknown, unknown, unknown>;
const thought = (text: string): ProviderEvent => ({ type: "reasoning-delta", text });
const finish: ProviderEvent = { type: "finish" };

function bench(
  more: {
    readonly contract?: keyof typeof contracts;
    readonly stream?: StreamOptions;
    readonly providers?: readonly FakeProvider<string>[];
  } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const providers = more.providers ?? [fakeProvider<string>({ streams: true })];
  const guard = createGuard({
    feature: "chat_ai",
    contract: contracts[more.contract ?? "text"],
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "STUB", reply: "a person answers" }),
    route: {
      providers,
      candidates: providers.map(({ name }) => ({ provider: name })),
      strategy: "failover",
      failover: true,
    },
    flags: staticFlags({ chat_ai: { enabled: true } }),
    clock,
    onFailure: "failed",
    retry: { maxRetries: 0 },
    stream: { reasoning: true, ...more.stream },
    sinks: [record.sink],
  });
  const stream = guard.stream("what?", { subject: "ann" });
  const events: Event[] = [];
  const done = (async () => {
    for await (const event of stream) events.push(event);
  })();
  /** The provider that is called now says so. */
  const say = async (...said: readonly ProviderEvent[]): Promise<void> => {
    await clock.advanceAsync(0);
    const called = providers.filter(({ calls }) => calls.length > 0).at(-1);
    called?.last().emit(...said);
    await clock.advanceAsync(0);
  };
  const words = (): string =>
    events
      .map((event) =>
        event.type === "text-delta"
          ? event.text
          : event.type === "reasoning-delta"
            ? `(${event.text})`
            : `<${event.type}>`,
      )
      .join("");
  return { clock, guard, stream, events, done, say, words, record };
}

describe("what a model says to itself", () => {
  it("leaves where it is asked for, apart from the answer", async () => {
    const { say, done, words, stream } = bench();
    await say(thought("Let me "), thought("see."), delta("Hello"), finish);
    await done;
    expect(words()).toBe("(Let me see.)Hello<finish>");
    expect(await stream.outcome).toMatchObject({ value: { reply: "Hello" } });
  });

  it("does not leave otherwise", async () => {
    const { say, done, words } = bench({ stream: { reasoning: false } });
    await say(thought("Let me see."), delta("Hello"), finish);
    await done;
    expect(words()).toBe("Hello<finish>");
  });

  it("is no first content: nothing is committed by it", async () => {
    const { say, done, words, stream, events, clock } = bench();
    let hasHead = false;
    void stream.head.then(() => (hasHead = true));
    await say(thought("Let me see."));
    expect([hasHead, events]).toEqual([false, []]);
    await clock.advanceAsync(100);
    await say(delta("Hello"));
    expect(hasHead).toBe(true);
    await say(finish);
    await done;
    expect(words()).toBe("(Let me see.)Hello<finish>");
    const { record } = await stream.outcome;
    expect(record).toMatchObject({ firstContentMs: 100, attempts: [{ firstContentMs: 100 }] });
  });

  it("flows as it comes once content has left", async () => {
    const { say, done, words } = bench();
    await say(delta("One. "));
    await say(thought("And "));
    await say(thought("now?"));
    expect(words()).toBe("One. (And )(now?)");
    await say(delta("Two."), finish);
    await done;
    expect(words()).toBe("One. (And )(now?)Two.<finish>");
  });

  it("of an attempt that failed is forgotten with it", async () => {
    const providers = ["one", "two"].map((name) => fakeProvider<string>({ name, streams: true }));
    const { say, done, words } = bench({ providers });
    const failure = errorReply("PROVIDER_UNAVAILABLE");
    await say(thought("of the first"), { type: "failed", failure });
    await say(thought("of the second"), delta("Hello"), finish);
    await done;
    expect(words()).toBe("(of the second)Hello<finish>");
  });

  it("keeps the clock between chunks from running out, as any sign of life", async () => {
    const { say, done, words, clock } = bench();
    await say(delta("One. "));
    for (let i = 0; i < 3; i += 1) {
      await clock.advanceAsync(9000);
      await say(thought("."));
    }
    await say(delta("Two."), finish);
    await done;
    expect(words()).toMatch(/Two\.<finish>$/);
  });

  it("I2 ends where a forbidden pattern begins, also one in pieces; the answer is judged by itself", async () => {
    const { say, done, words, stream } = bench();
    await say(delta("Well. "));
    await say(thought("the se"), thought("cret is "), thought("42"));
    await say(delta("No."), finish);
    await done;
    expect(words()).toBe("Well. (the )No.<finish>");
    expect(await stream.outcome).toMatchObject({ status: "SUCCEEDED" });
  });

  it("is told to its last letter before content goes on", async () => {
    const { say, done, words } = bench();
    await say(thought("it is a se"), delta("Hello"), thought("more se"), finish);
    await done;
    expect(words()).toBe("(it is a se)Hello(more )(se)<finish>");
  });

  it("comes before a structured answer, which is told whole", async () => {
    const { say, done, words } = bench({ contract: "structured" });
    const answer = '{"status":"OK","reply":"a"}';
    await say(thought("Let me see."), delta(answer.slice(0, 9)), delta(answer.slice(9)), finish);
    await done;
    expect(words()).toBe(`(Let me see.)${answer}<finish>`);
  });

  it("is not told where the request failed before any content", async () => {
    const { say, done, words } = bench();
    await say(thought("Let me see."));
    await say({ type: "failed", failure: errorReply("PROVIDER_BAD_REQUEST") });
    await done;
    expect(words()).toBe("<failed>");
  });

  it("I12 that waits for content is bounded: what is beyond is not told", async () => {
    const { say, done, events } = bench();
    const piece = "x".repeat(40 * 1024);
    await say(thought(piece), thought(piece), thought("y"), delta("Hello"), finish);
    await done;
    const told = events.filter((event) => event.type === "reasoning-delta");
    expect(told).toEqual([{ type: "reasoning-delta", text: piece }]);
  });

  it("waits for a reader who is slow, and cuts off one who stands still", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<string>({ streams: true });
    const guard = createGuard({
      feature: "chat_ai",
      contract: contracts.text,
      failed: ({ code }) => ({ status: "FAILED", code }),
      stub: () => ({ status: "STUB", reply: "a person answers" }),
      provider,
      flags: staticFlags({ chat_ai: { enabled: true } }),
      clock,
      onFailure: "failed",
      stream: { reasoning: true, bufferBytes: 200, stallMs: 1000 },
      sinks: [() => undefined],
    });
    const stream = guard.stream("what?", { subject: "ann" });
    await clock.advanceAsync(0);
    provider.last().emit(delta("a"), thought("b"), thought("c"), thought("d"));
    await clock.advanceAsync(0);
    expect(provider.last().taken).toBe(2);
    await clock.advanceAsync(1100);
    expect(await stream.outcome).toMatchObject({ failure: { code: "CLIENT_ABORTED" } });
  });
});
