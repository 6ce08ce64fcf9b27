import type { MetricSample, StreamEvent } from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  sampleStub,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it, vi } from "vitest";
import {
  createGuard,
  isAnswered,
  memoryAdmission,
  staticFlags,
  toHttpOutcome,
  type StaticFeature,
} from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann" };

function bench(
  more: {
    readonly flags?: StaticFeature;
    readonly onFailure?: "failed" | "stub";
    readonly onCall?: (call: FakeCall<SampleJob>) => void;
    readonly streams?: boolean;
    readonly places?: number;
  } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const samples: MetricSample[] = [];
  const stub = vi.fn<(given: SampleJob) => typeof sampleStub>(() => sampleStub);
  const provider = fakeProvider<SampleJob>({
    streams: more.streams === true,
    onCall: more.onCall ?? ((call) => call.reply(valueReply(sampleAnswer))),
  });
  const guard = createGuard({
    ...sampleFeature,
    stub,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true, ...more.flags } }),
    clock,
    onFailure: more.onFailure ?? "failed",
    retry: { maxRetries: 0 },
    admission: memoryAdmission({ globalInFlight: { limit: more.places ?? 9 }, clock }),
    sinks: [record.sink],
    metrics: (sample) => samples.push(sample),
  });
  return { clock, guard, provider, stub, record, samples };
}

const read = async (stream: AsyncIterable<StreamEvent<unknown, unknown, unknown>>) => {
  const events: StreamEvent<unknown, unknown, unknown>[] = [];
  for await (const event of stream) events.push(event);
  return events;
};

const streamed = (call: FakeCall<SampleJob>): void =>
  call.emit(delta(JSON.stringify(sampleAnswer)), { type: "finish" });

describe("a guard for callers with a handler of their own", () => {
  it("hands back what is diverted, and calls no stub", async () => {
    const { guard, stub, record, samples } = bench({ flags: { percent: 0, enabled: true } });
    const closed = await guard.forLegacy.run(job, request);
    expect(closed).toMatchObject({ status: "STUBBED", path: "legacy", reason: "NOT_IN_ROLLOUT" });
    expect("value" in closed && closed.value).toBeUndefined();
    guard.flush();
    expect(record.events).toMatchObject([{ event: "disabled_noop" }]);
    expect(samples).toEqual([]);
    expect(stub).not.toHaveBeenCalled();
    expect((await guard.run(job, request)).path).toBe("stub");
  });

  it("tells of it on the path legacy, in the arm legacy", async () => {
    const { guard, record, samples } = bench({ flags: { allowlist: ["somebody else"] } });
    const outcome = await guard.forLegacy.run(job, request);
    guard.forLegacy.noteResponse(200, outcome, 12);
    guard.flush();
    expect(record.of("outcome")).toMatchObject([
      { outcome: "STUBBED", path: "legacy", reason: "NOT_ALLOWLISTED", fallback_used: false },
    ]);
    expect(samples).toMatchObject([
      { kind: "outcome", arm: "legacy", outcome: "STUBBED" },
      { kind: "response", arm: "legacy", status: 200, firstByteMs: 12 },
    ]);
  });

  it("answers what is allowed and refuses what is rejected as the guard does", async () => {
    const { guard, samples } = bench({ places: 1 });
    expect(await guard.forLegacy.run(job, request)).toMatchObject({
      status: "SUCCEEDED",
      path: "ai",
      value: sampleAnswer,
    });
    await guard.decide(job, request);
    expect(await guard.forLegacy.run(job, request)).toMatchObject({
      status: "REJECTED",
      path: "none",
    });
    guard.flush();
    expect(samples).toMatchObject([{ arm: "ai" }, { arm: "none" }]);
  });

  it("I1 hands back what a kill stopped before content left", async () => {
    const { guard, clock, provider, stub } = bench({ onCall: () => undefined });
    const running = guard.forLegacy.run(job, request);
    await clock.advanceAsync(0);
    guard.kill();
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await running).toMatchObject({
      status: "STUBBED",
      path: "legacy",
      reason: "KILLED",
      record: { fallbackUsed: true },
    });
    expect(stub).not.toHaveBeenCalled();
  });

  it("hands back what failed under the failure policy stub, in the arm that it was assigned to", async () => {
    const { guard, stub, record, samples } = bench({
      onFailure: "stub",
      onCall: (call) => call.reply(errorReply("PROVIDER_BAD_REQUEST")),
    });
    expect(await guard.forLegacy.run(job, request)).toMatchObject({
      status: "FAILED",
      path: "legacy",
      value: undefined,
      failure: { code: "PROVIDER_BAD_REQUEST" },
      record: { fallbackUsed: true },
    });
    guard.flush();
    expect(record.of("outcome")).toMatchObject([{ path: "legacy", fallback_used: true }]);
    expect(samples).toMatchObject([{ arm: "ai", outcome: "FAILED", fallbackUsed: true }]);
    expect(stub).not.toHaveBeenCalled();
  });

  it("gives the FAILED value under the failure policy failed", async () => {
    const { guard } = bench({ onCall: (call) => call.reply(errorReply("PROVIDER_BAD_REQUEST")) });
    expect(await guard.forLegacy.run(job, request)).toMatchObject({
      path: "ai",
      value: { status: "FAILED", code: "PROVIDER_BAD_REQUEST" },
    });
  });

  it("I13 ends a stream without an answer, and with no text, where the handler is to answer", async () => {
    const { guard } = bench({ flags: { allowlist: ["somebody else"] } });
    const stream = guard.forLegacy.stream(job, request);
    expect(await stream.head).toMatchObject({ outcome: { path: "legacy" } });
    expect(await read(stream)).toMatchObject([{ type: "failed", outcome: { path: "legacy" } }]);
  });

  it("says of a call that is not handed over that the handler is to answer", () => {
    const { guard, record } = bench({ flags: { allowlist: ["somebody else"] } });
    const decision = guard.decide(job, request);
    if (decision instanceof Promise) throw new Error("a memory store answers at once");
    expect(guard.forLegacy.handOver(decision)).toEqual({ barred: "NOT_ALLOWLISTED" });
    guard.flush();
    expect(record.of("outcome")).toMatchObject([{ path: "legacy" }]);
  });

  it("is the same guard: one's decisions are the other's, once", async () => {
    const { guard } = bench({ flags: { allowlist: ["somebody else"] } });
    const decision = await guard.decide(job, request);
    expect(await guard.forLegacy.execute(decision)).toMatchObject({ path: "legacy" });
    await expect(guard.execute(decision)).rejects.toThrow("executed or given up already");
    expect(guard.forLegacy.forLegacy).toBe(guard.forLegacy);
    guard.forLegacy.kill();
    expect(guard.describe().shut).toMatchObject({ reason: "KILLED" });
  });
});

describe("an outcome that a handler of the caller's is to answer", () => {
  it("has no answer yet, and no form in HTTP", async () => {
    const { guard } = bench({ flags: { allowlist: ["somebody else"] } });
    const outcome = await guard.forLegacy.run(job, request);
    expect(isAnswered(outcome)).toBe(false);
    expect(() => toHttpOutcome(outcome)).toThrow(TypeError);
  });
});

describe("a decision that flows", () => {
  it("streams what it decided, and no second time", async () => {
    const { guard, record } = bench({ streams: true, onCall: streamed });
    const decision = await guard.decide(job, request);
    const events = await read(guard.flow(decision));
    expect(events.map(({ type }) => type)).toEqual(["text-delta", "finish"]);
    expect(() => guard.flow(decision)).toThrow("executed or given up already");
    guard.flush();
    expect(record.events.map(({ event }) => event)).toEqual(["decision", "outcome"]);
    expect(guard.inFlight).toBe(0);
  });

  it("is refused where another guard decided", async () => {
    const { guard } = bench();
    const decision = await bench().guard.decide(job, request);
    expect(() => guard.flow(decision)).toThrow("not made by this guard");
  });

  it("tells a diverted one by its safe path", async () => {
    const { guard } = bench({ flags: { allowlist: ["somebody else"] } });
    const decision = await guard.decide(job, request);
    expect(await read(guard.flow(decision))).toMatchObject([
      { type: "text-delta", text: JSON.stringify(sampleStub) },
      { type: "finish", outcome: { status: "STUBBED", path: "stub" } },
    ]);
  });

  it("ends its call when the reader leaves", async () => {
    const { guard, clock, provider } = bench({ streams: true, onCall: () => undefined });
    const stream = guard.flow(await guard.decide(job, request));
    await clock.advanceAsync(0);
    stream.cancel();
    expect(await stream.outcome).toMatchObject({ failure: { code: "CLIENT_ABORTED" } });
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(guard.inFlight).toBe(0);
  });
});
