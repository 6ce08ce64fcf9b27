import {
  errorReply,
  fakeAdmissionStore,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createGuard, memoryAdmission, staticFlags } from "../index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "alice", run: "run" };

// The breaker's library knows no clock but the process's timers.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a request that admission rejects", () => {
  it("I14 consumes nothing: no budget, no probe of the circuit, no place, no rate token", async () => {
    const clock = new FakeClock();
    let broken = true;
    const provider = fakeProvider<SampleJob>({
      onCall: (call) => {
        if (broken) call.reply(errorReply("PROVIDER_UNAVAILABLE"));
      },
    });
    const admission = memoryAdmission({
      userInFlight: { limit: 1 },
      messageRate: { count: 2, perMs: 60_000 },
      clock,
    });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      admission,
      budget: { callsPerRun: 10, tokensPerRun: 10_000, maxOutputTokens: 100 },
      breaker: { minCalls: 1, openMs: 1000, probes: 1, successesToClose: 1 },
      sinks: [() => 0],
    });
    // The first of two rate tokens; its failure opens the circuit.
    await guard.run(job, request);
    expect(guard.describe().breaker).toBe("open");
    vi.advanceTimersByTime(1000);
    expect(guard.describe().breaker).toBe("half_open");
    broken = false;

    const other = admission.acquire("somebody");
    if (other instanceof Promise || other === "unavailable" || !other.admitted) {
      throw new Error("the second token was not there");
    }
    // Neither a place of its own nor a token: it is rejected, ten times.
    const before = guard.budget.use("run");
    for (let i = 0; i < 10; i += 1) {
      expect(await guard.run(job, request)).toMatchObject({
        status: "REJECTED",
        reason: "MESSAGE_RATE",
      });
    }
    expect(guard.budget.use("run")).toEqual(before);
    expect(guard.inFlight).toBe(0);
    other.lease.release();

    // The only probe is still there, the token comes after its time and no later.
    clock.advance(30_000);
    const running = guard.run(job, request);
    provider.last().reply(valueReply(sampleAnswer));
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
    expect(guard.describe().breaker).toBe("closed");
    guard.close();
  });

  it("gets the longest wait of the limits that it met", async () => {
    const clock = new FakeClock();
    const admission = memoryAdmission({
      globalInFlight: { limit: 1 },
      messageRate: { count: 1, perMs: 60_000 },
      clock,
    });
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      admission,
      sinks: [() => 0],
    });
    const holding = guard.run(job, request);
    expect(await guard.run(job, { subject: "bob" })).toMatchObject({
      status: "REJECTED",
      reason: "MESSAGE_RATE",
      retryAfterMs: 60_000,
    });
    guard.kill();
    await holding;
    guard.close();
  });
});

function remote(onIndeterminate: "open" | "closed") {
  const clock = new FakeClock();
  const admission = fakeAdmissionStore({ limit: 1, leaseMs: 900 });
  const provider = fakeProvider<SampleJob>();
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    admission,
    budget: { callsPerRun: 5, maxOutputTokens: 100 },
    gates: { admission: { onIndeterminate } },
    sinks: [() => 0],
  });
  return { guard, admission, provider, clock };
}

describe("an admission store behind a network", () => {
  it("is asked for the subject, and its lease is renewed for as long as the call lasts", async () => {
    const { guard, admission, provider, clock } = remote("closed");
    const running = guard.run(job, request);
    expect(admission.pending.map((question) => question.subject)).toEqual(["alice"]);
    expect(provider.calls).toHaveLength(0);
    admission.pending[0]?.answer();
    await clock.advanceAsync(0);
    expect(admission.held).toBe(1);
    await clock.advanceAsync(3000);
    // Each third of the lease time, at the next tick of 20 ms.
    expect(admission.renewals).toBeGreaterThanOrEqual(9);
    provider.last().reply(valueReply(sampleAnswer));
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
    expect(admission.held).toBe(0);
  });

  it("whose limit is reached rejects, and nothing is charged", async () => {
    const { guard, admission, provider, clock } = remote("closed");
    const first = guard.run(job, request);
    const second = guard.run(job, request);
    admission.pending[0]?.answer();
    admission.pending[0]?.answer();
    expect(await second).toMatchObject({ status: "REJECTED", reason: "GLOBAL_IN_FLIGHT" });
    await clock.advanceAsync(0);
    expect(guard.budget.use("run").calls).toBe(1);
    provider.last().reply(valueReply(sampleAnswer));
    await first;
    expect(admission.held).toBe(0);
  });

  it.each(["unavailable", "rejecting"] as const)(
    "that is %s rejects with 503's reason where it is closed, and lets pass where it is open",
    async (how) => {
      for (const onIndeterminate of ["closed", "open"] as const) {
        const { guard, admission, provider, clock } = remote(onIndeterminate);
        const running = guard.run(job, request);
        if (how === "unavailable") admission.pending[0]?.unavailable();
        else admission.pending[0]?.fail(new Error("planted"));
        await clock.advanceAsync(0);
        if (onIndeterminate === "open") provider.last().reply(valueReply(sampleAnswer));
        expect(await running).toMatchObject(
          onIndeterminate === "open"
            ? { status: "SUCCEEDED" }
            : { status: "REJECTED", reason: "STORE_UNAVAILABLE", retryAfterMs: 1000 },
        );
        expect(guard.budget.use("run").calls).toBe(onIndeterminate === "open" ? 1 : 0);
        expect(guard.inFlight).toBe(0);
        expect(admission.held).toBe(0);
      }
    },
  );

  it("is not asked for requests that an earlier gate stops", async () => {
    const { guard, admission } = remote("closed");
    guard.kill();
    expect(await guard.run(job, request)).toMatchObject({ reason: "KILLED" });
    expect(admission.pending).toHaveLength(0);
  });
});
