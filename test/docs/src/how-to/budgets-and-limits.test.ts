import {
  delta,
  errorReply,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  valueReply,
} from "@sluice/testkit";
import type { FakeCall, SampleJob } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { limitedGuard } from "./budgets-and-limits.ts";

const usage = { inputTokens: 10, outputTokens: 20 };
const answer = (call: FakeCall<SampleJob>): void => call.reply(valueReply(sampleAnswer, usage));
const job = { prompt: "hello" };

function limited(onCall?: (call: FakeCall<SampleJob>) => void, streams = false) {
  const sink = recordingSink();
  const provider = fakeProvider<SampleJob>({
    streams,
    model: "gpt-4o-mini",
    inputTokens: () => 100,
    ...(onCall === undefined ? {} : { onCall }),
  });
  return { guard: limitedGuard(provider, sink.sink), provider, sink };
}

describe("the budget of the page", () => {
  it("makes 50 calls a run and no more", async () => {
    const { guard, provider } = limited(answer);
    for (let i = 0; i < 50; i += 1) {
      expect(await guard.run(job, { subject: "a", run: "r" })).toMatchObject({
        record: { costNanoUsd: 10 * 150 + 20 * 600 },
      });
    }
    expect(await guard.run(job, { subject: "a", run: "r" })).toMatchObject({
      status: "STUBBED",
      reason: "BUDGET_CALLS",
    });
    expect(provider.calls).toHaveLength(50);
    guard.close();
  });

  it("keeps the whole reservation of a call without usage", async () => {
    const { guard } = limited((call) => call.reply(valueReply(sampleAnswer)));
    await guard.run(job, { subject: "a", run: "r" });
    expect(guard.budget.use("r")).toEqual({
      calls: 1,
      tokens: 900,
      costNanoUsd: 100 * 150 + 800 * 600,
    });
    guard.close();
  });

  it("lowers the output cap to what is left, and is over below 16 tokens", async () => {
    const { guard, provider } = limited(answer);
    guard.budget.restore("r", { calls: 1, tokens: 99_884, costNanoUsd: 0 });
    await guard.run(job, { subject: "a", run: "r" });
    expect(provider.last().asked.maxOutputTokens).toBe(16);
    guard.budget.restore("r", { calls: 1, tokens: 99_885, costNanoUsd: 0 });
    expect(await guard.run(job, { subject: "a", run: "r" })).toMatchObject({
      reason: "BUDGET_TOKENS",
    });
    guard.close();
  });
});

describe("what the page says that a call is charged", () => {
  const asked = { subject: "a", run: "r" };

  it("is nothing where it never left", async () => {
    const { guard } = limited((call) =>
      call.reply(errorReply("PROVIDER_UNAVAILABLE", { dispatched: false })),
    );
    await guard.run(job, asked);
    expect(guard.budget.use("r")).toEqual({ calls: 0, tokens: 0, costNanoUsd: 0 });
    guard.close();
  });

  it.each([
    ["the reservation", 40, 100 + 800],
    ["what was seen, where that is more", 4000, 100 + 1000],
  ])("is %s for a stream that was cut", async (_, bytes, tokens) => {
    const { guard } = limited((call) => {
      call.emit(delta("x".repeat(bytes)));
      call.cut();
    }, true);
    await guard.stream(job, asked).outcome;
    expect(guard.budget.use("r")).toMatchObject({ calls: 1, tokens });
    guard.close();
  });

  it.each([
    ["the prompt and the bytes seen, of one that streams", true, 100 + 50],
    ["the reservation, of one that does not", false, 100 + 800],
  ])("is, for a call that was killed, %s", async (_, streams, tokens) => {
    const { guard, provider } = limited(
      (call) => (call.streams ? call.emit(delta("x".repeat(50))) : undefined),
      streams,
    );
    const stream = guard.stream(job, asked);
    await new Promise(setImmediate);
    expect(provider.calls).toHaveLength(1);
    guard.kill();
    expect(await stream.outcome).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    expect(guard.budget.use("r")).toMatchObject({ calls: 1, tokens });
    guard.close();
  });
});

describe("the admission of the page", () => {
  it("rejects a subject's third request in flight", async () => {
    const { guard, provider } = limited();
    const running = [1, 2].map(() => guard.run(job, { subject: "a" }));
    expect(await guard.run(job, { subject: "a" })).toMatchObject({
      status: "REJECTED",
      reason: "USER_IN_FLIGHT",
    });
    for (const call of provider.calls) answer(call);
    await Promise.all(running);
    guard.close();
  });

  it("only records what the rate would refuse", async () => {
    const { guard, sink } = limited(answer);
    // A slow machine earns one more each second.
    for (let i = 0; i < 150; i += 1) await guard.run(job, { subject: "a" });
    guard.flush();
    expect(sink.of("decision").at(-1)).toMatchObject({
      effect: "allow",
      trail: expect.arrayContaining([
        { gate: "admission", verdict: "would_reject", reason: "MESSAGE_RATE" },
      ]) as unknown,
    });
    guard.close();
  });
});

describe("the tripwire of the page", () => {
  it("shuts the feature by the harm of several subjects, with figures, until it is reset", async () => {
    const { guard, sink } = limited((call) => call.reply(errorReply("REFUSED")));
    for (let i = 0; i < 20; i += 1) await guard.run(job, { subject: `user-${i % 3}` });
    expect(await guard.run(job, { subject: "a" })).toMatchObject({ reason: "TRIPPED" });
    guard.flush();
    expect(sink.of("alert")).toMatchObject([
      { code: "TRIPPED", figures: { calls: 20, errors: 20, max: 0.3 } },
    ]);
    guard.resetTripwire();
    expect(await guard.run(job, { subject: "a" })).toMatchObject({ status: "FAILED" });
    guard.close();
  });
});
