import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FlagSource } from "@sluice/contract";
import {
  fakeAdmissionStore,
  FakeClock,
  fakeFlagSource,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  sampleStub,
  textReply,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createGuard, envFlags, flagFile, staticFlags, type TripwireOptions } from "./index.ts";

const job: SampleJob = { prompt: "p" };

/** A guard whose calls hang, and a provider that ignores its signal. */
function running(flags: FlagSource, clock: FakeClock, more: { tripwire?: TripwireOptions } = {}) {
  const provider = fakeProvider<SampleJob>();
  const record = recordingSink();
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags,
    clock,
    sinks: [record.sink],
    budget: { callsPerRun: 100, maxOutputTokens: 100 },
    ...more,
  });
  const calls = Array.from({ length: 3 }, (_, index) =>
    guard.run(job, { subject: `subject-${index}`, run: index === 0 ? undefined : "run" }),
  );
  expect(provider.calls.map((call) => call.asked.signal.aborted)).toEqual([false, false, false]);
  /** All of them were aborted and are answered by the safe path, and no other call starts. */
  const expectShut = async (reason: string): Promise<void> => {
    expect(provider.calls.map((call) => call.asked.signal.aborted)).toEqual([true, true, true]);
    for (const outcome of await Promise.all(calls)) {
      expect(outcome).toMatchObject({ status: "STUBBED", path: "stub", value: sampleStub, reason });
    }
    expect(guard.inFlight).toBe(0);
    expect(await guard.run(job, { subject: "late" })).toMatchObject({ status: "STUBBED", reason });
    expect(provider.calls).toHaveLength(3);
    guard.flush();
    expect(record.of("outcome").map((event) => event.outcome)).not.toContain("FAILED");
  };
  return { guard, provider, calls, expectShut };
}

describe("I1 a call in flight is aborted and answered by the safe path", () => {
  it.each([
    ["a kill in the environment", { SAMPLE_AI_KILL: "true" }, "KILLED"],
    ["an unclear kill in the environment", { SAMPLE_AI_KILL: "ture" }, "KILLED"],
    ["the end of the feature in the environment", { FEATURE_SAMPLE_AI: "false" }, "FLAG_OFF"],
    ["0 % in the environment", { SAMPLE_AI_ROLLOUT_PERCENT: "0" }, "NOT_IN_ROLLOUT"],
  ])("I1 within 50 ms after %s", async (_, change, reason) => {
    const clock = new FakeClock();
    const variables: Record<string, string> = { FEATURE_SAMPLE_AI: "true" };
    const { expectShut } = running(envFlags({ variables }), clock);
    await clock.advanceAsync(1000);
    Object.assign(variables, change);
    clock.advance(50);
    await expectShut(reason);
  });

  it.each([
    ["killed", { killed: true }, "KILLED"],
    ["disabled", { enabled: false }, "FLAG_OFF"],
    ["at 0 %", { percent: 0 }, "NOT_IN_ROLLOUT"],
  ])("I1 at once where the source tells that it is %s", async (_, change, reason) => {
    const clock = new FakeClock();
    const flags = staticFlags({ sample_ai: { enabled: true } });
    const { expectShut } = running(flags, clock);
    flags.set("sample_ai", change);
    await expectShut(reason);
  });

  it("I1 within 50 ms where the source does not tell", async () => {
    const clock = new FakeClock();
    const flags = fakeFlagSource({ clock });
    const { expectShut } = running(flags, clock);
    flags.set({ killed: true }, "silently");
    clock.advance(50);
    await expectShut("KILLED");
  });

  it("I1 at once after guard.kill()", async () => {
    const clock = new FakeClock();
    const { guard, expectShut } = running(staticFlags({ sample_ai: { enabled: true } }), clock);
    guard.kill();
    await expectShut("KILLED");
  });

  it("I1 even where the kill is taken back before anybody looked again", async () => {
    const clock = new FakeClock();
    const { guard, calls } = running(staticFlags({ sample_ai: { enabled: true } }), clock);
    guard.kill();
    guard.restore();
    for (const outcome of await Promise.all(calls)) {
      expect(outcome).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    }
  });

  it("I9 within 50 ms of the flags' growing stale", async () => {
    const clock = new FakeClock();
    const flags = fakeFlagSource({ clock });
    const { provider, expectShut } = running(flags, clock);
    for (let i = 0; i < 5; i += 1) {
      clock.advance(4000);
      flags.confirm();
    }
    clock.advance(5000);
    expect(provider.last().asked.signal.aborted).toBe(false);
    clock.advance(50);
    await expectShut("FLAGS_STALE");
  });

  it("I9 within 50 ms of a thaw: the monotonic clock stood still, the wall clock did not", async () => {
    const clock = new FakeClock();
    const { expectShut } = running(fakeFlagSource({ clock }), clock);
    clock.sleepMachine(6000);
    clock.advance(50);
    await expectShut("FLAGS_STALE");
  });

  it("I9 by its age on the monotonic clock where the wall clock was set back", async () => {
    const clock = new FakeClock();
    const { expectShut } = running(fakeFlagSource({ clock }), clock);
    clock.stepWall(-3_600_000);
    clock.advance(5050);
    await expectShut("FLAGS_STALE");
  });

  it("I1 within 50 ms of the trip of the tripwire", async () => {
    const clock = new FakeClock();
    const { guard, provider, calls } = running(
      staticFlags({ sample_ai: { enabled: true } }),
      clock,
      { tripwire: { scope: "process", schemaFailures: { max: 0 }, minSubjects: 2 } },
    );
    for (const call of provider.calls.slice(0, 2)) call.reply(textReply("sorry"));
    await Promise.all(calls.slice(0, 2));
    clock.advance(50);
    expect(provider.calls[2]?.asked.signal.aborted).toBe(true);
    expect(await calls[2]).toMatchObject({ status: "STUBBED", reason: "TRIPPED" });
    expect(guard.inFlight).toBe(0);
  });

  it("I1 of the run alone whose tripwire tripped", async () => {
    const clock = new FakeClock();
    const { provider, calls } = running(staticFlags({ sample_ai: { enabled: true } }), clock, {
      tripwire: { scope: "run", schemaFailures: { max: 0 } },
    });
    provider.calls[1]?.reply(textReply("sorry"));
    await calls[1];
    expect(provider.calls.map((call) => call.asked.signal.aborted)).toEqual([false, false, true]);
    expect(await calls[2]).toMatchObject({ status: "STUBBED", reason: "TRIPPED" });
    provider.calls[0]?.reply(valueReply(sampleAnswer));
    expect(await calls[0]).toMatchObject({ status: "SUCCEEDED" });
  });
});

describe("with flags from a file", () => {
  let directory = "";
  let path = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "sluice-kill-"));
    path = join(directory, "flags.env");
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  const changes: readonly (readonly [string, () => void, string])[] = [
    [
      "a kill is appended",
      () => writeFileSync(path, "SAMPLE_AI_KILL=true\n", { flag: "a" }),
      "KILLED",
    ],
    ["it is emptied", () => writeFileSync(path, ""), "FLAG_OFF"],
    ["it is deleted", () => rmSync(path), "FLAG_OFF"],
    [
      "another takes its place",
      () => {
        writeFileSync(`${path}.next`, "FEATURE_SAMPLE_AI=true\nSAMPLE_AI_KILL=1\n");
        renameSync(`${path}.next`, path);
      },
      "KILLED",
    ],
  ];

  it.each(changes)(
    "I1 a call in flight is aborted within 50 ms after %s",
    async (_, change, reason) => {
      writeFileSync(path, "FEATURE_SAMPLE_AI=true\n");
      const clock = new FakeClock({ wallMs: Date.now() + 3_600_000 });
      const flags = flagFile(path, { clock });
      const { provider, expectShut } = running(flags, clock);
      change();
      clock.advance(20);
      // The look at the file takes real time, and none of the clock's.
      await vi.waitFor(() => expect(flags.confirmedAt()?.monotonicMs).toBe(20), {
        interval: 1,
        timeout: 4000,
      });
      clock.advance(30);
      expect(provider.last().asked.signal.aborted).toBe(true);
      await expectShut(reason);
      flags.close();
    },
  );

  it("I9 a call in flight is aborted once the file can't be looked at any more", async () => {
    writeFileSync(path, "FEATURE_SAMPLE_AI=true\n");
    const clock = new FakeClock({ wallMs: Date.now() + 3_600_000 });
    const flags = flagFile(path, { clock });
    const { expectShut } = running(flags, clock);
    rmSync(path);
    // A loop of links is not a missing file: nobody knows what the flags are.
    symlinkSync(path, path);
    clock.advance(5050);
    await expectShut("FLAGS_STALE");
    flags.close();
  });
});

describe("a kill while nothing is dispatched yet", () => {
  it("I1 keeps a request from calling that waits for admission", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>();
    const admission = fakeAdmissionStore({ limit: 1 });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      admission,
      sinks: [() => 0],
      budget: { callsPerRun: 1, maxOutputTokens: 100 },
    });
    const waiting = guard.run(job, { subject: "alice", run: "run" });
    expect(admission.pending).toHaveLength(1);
    guard.kill();
    admission.pending[0]?.answer();
    expect(await waiting).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    expect(provider.calls).toHaveLength(0);
    expect(admission.held).toBe(0);
    expect(guard.budget.use("run").calls).toBe(0);
  });

  it("I1 that has passed again when the request is executed lets it call", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>({
      onCall: (call) => call.reply(valueReply(sampleAnswer)),
    });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      sinks: [() => 0],
    });
    const decision = await guard.decide(job, { subject: "alice" });
    guard.kill();
    guard.restore();
    expect(await guard.execute(decision)).toMatchObject({ status: "SUCCEEDED" });
  });

  it("I1 in the moment in which the provider is called is seen by it", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>({ onCall: () => guard.kill() });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      sinks: [() => 0],
    });
    expect(await guard.run(job, { subject: "alice" })).toMatchObject({ reason: "KILLED" });
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(guard.inFlight).toBe(0);
  });
});
