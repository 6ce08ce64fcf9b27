import type { Decision, MetricSample, SluiceEvent } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  textReply,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { createGuard, defineTool, memoryAdmission, staticFlags } from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

/** What the provider does with a call. */
const answers = [
  "value",
  "not of the contract",
  "tool call",
  "unavailable",
  "rate limited",
  "throws",
  "hangs",
] as const;
type Answer = (typeof answers)[number];

const acts = [
  "run",
  "run for a handler",
  "stream",
  "stream and leave",
  "decide",
  "decide and give up",
  "hand over",
  "ask one gate",
  "probe",
  "time",
  "kill",
  "restore",
  "reset the tripwire",
  "restore a budget",
  "end a run",
  "note a response",
  "note parity",
  "another shadow",
  "close",
] as const;
type Act = (typeof acts)[number];

interface Step {
  readonly act: Act;
  readonly answer: Answer;
  readonly subject: string;
  readonly advanceMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom(...acts),
  answer: fc.constantFrom(...answers),
  subject: fc.constantFrom("ann", "ben", "cat"),
  advanceMs: fc.constantFrom(0, 30, 1000, 31_000),
});

const job: SampleJob = { prompt: "p" };

function bench() {
  const clock = new FakeClock();
  const events: SluiceEvent[] = [];
  const samples: MetricSample[] = [];
  const asked: string[] = [];
  const ran: string[] = [];
  let answer: Answer = "value";
  const reply = (call: FakeCall<SampleJob>): void => {
    if (answer === "value") call.reply(valueReply(sampleAnswer));
    if (answer === "not of the contract") call.reply(textReply("no json"));
    if (answer === "unavailable") call.reply(errorReply("PROVIDER_UNAVAILABLE"));
    if (answer === "rate limited") {
      call.reply(errorReply("PROVIDER_RATE_LIMITED", { retryAfterMs: 60_000 }));
    }
    if (answer === "tool call") {
      const toolCalls = [{ id: "c1", name: "order", arguments: "{}" }];
      call.reply({ ok: true, output: { kind: "text", text: "" }, toolCalls });
    }
    if (answer === "throws") throw new Error("a defect");
  };
  const store = memoryAdmission({
    userInFlight: { limit: 1 },
    globalInFlight: { limit: 2 },
    messageRate: { count: 3, perMs: 10_000 },
    toolRate: { count: 1, perMs: 10_000 },
    globalBudget: { calls: 3 },
    clock,
  });
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>({ model: "m", onCall: reply }),
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    prices: { m: { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 } },
    budget: { callsPerRun: 2, maxOutputTokens: 10 },
    breaker: { minCalls: 1 },
    tripwire: { scope: "process", schemaFailures: { max: 0 }, minSubjects: 2 },
    admission: {
      ...store,
      acquire(subject, ask) {
        asked.push("acquire");
        return store.acquire(subject, ask);
      },
      takeTool(subject, mode) {
        asked.push("takeTool");
        return store.takeTool?.(subject, mode) ?? { allowed: true };
      },
    },
    tools: {
      order: defineTool({
        description: "Orders.",
        input: z.object({}),
        run: () => ran.push("order"),
      }),
    },
    sinks: [(event) => events.push(event)],
    metrics: (sample) => samples.push(sample),
  });
  /** All that a caller can see of the guard's state. */
  const state = () => ({
    description: JSON.parse(JSON.stringify(guard.describe())) as unknown,
    inFlight: guard.inFlight,
    use: guard.budget.use("run"),
    asked: [...asked],
    ran: [...ran],
  });
  return {
    clock,
    guard,
    events,
    samples,
    state,
    answerWith(next: Answer) {
      answer = next;
    },
  };
}

async function play(of: ReturnType<typeof bench>, steps: readonly Step[]): Promise<void> {
  const { clock, guard } = of;
  let shadow = guard.shadow({ costNanoUsdPerDay: 100 });
  const over: Promise<unknown>[] = [];
  const acting: Readonly<Record<Act, (given: Step) => Promise<unknown> | void>> = {
    run: ({ subject }) => shadow.run(job, { subject, run: "run" }),
    "run for a handler": ({ subject }) => shadow.forLegacy.run(job, { subject, run: "run" }),
    stream: ({ subject }) => shadow.stream(job, { subject, run: "run" }).outcome,
    "stream and leave": ({ subject }) => {
      const stream = shadow.stream(job, { subject });
      stream.cancel();
      return stream.outcome;
    },
    decide: ({ subject }) => void shadow.decide(job, { subject, run: "run" }),
    "decide and give up": ({ subject }) =>
      shadow.giveUp(shadow.decide(job, { subject, run: "run" }) as Decision),
    "hand over": ({ subject, answer }) => {
      const handed = shadow.handOver(shadow.decide(job, { subject }) as Decision);
      if ("barred" in handed || answer === "hangs") return;
      handed.end({ ok: false, code: "PROVIDER_UNAVAILABLE", dispatched: true });
    },
    "ask one gate": ({ subject }) => void shadow.check("admission", job, { subject }),
    probe: ({ subject }) => void shadow.probe(subject),
    time: ({ advanceMs }) => clock.advanceAsync(advanceMs),
    kill: () => shadow.kill(),
    restore: () => shadow.restore(),
    "reset the tripwire": () => shadow.resetTripwire(),
    "restore a budget": () => {
      shadow.budget.end("run");
      shadow.budget.restore("run", { calls: 2, tokens: 0, costNanoUsd: 0 });
    },
    "end a run": () => shadow.budget.end("run"),
    "note a response": () => shadow.noteResponse(503),
    "note parity": () =>
      shadow.noteParity({
        legacyValid: true,
        mirrorValid: true,
        equal: {},
        lengthDifference: 0,
        latencyDifferenceMs: 0,
        similarity: 1,
      }),
    "another shadow": () => {
      shadow = shadow.shadow();
    },
    close: () => {
      shadow.close();
      shadow = guard.shadow();
    },
  };
  const before = of.state();
  for (const given of steps) {
    of.answerWith(given.answer);
    const acted = acting[given.act](given);
    if (acted instanceof Promise) over.push(acted);
    await clock.advanceAsync(0);
    expect(of.state(), given.act).toEqual(before);
  }
  // Whatever hangs has its time.
  await clock.advanceAsync(120_000);
  await Promise.all(over);
  // A shadow's decision that nobody executed waits longer than a guard's.
  clock.advance(600_000);
  expect(of.state()).toEqual(before);
  guard.flush();
  shadow.flush();
}

describe("whatever a shadow does, and whatever fails in it", () => {
  it("I6 nothing of the guard beside it changes, and everything told of it says that it is a shadow", async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const of = bench();
        await play(of, steps);
        for (const event of of.events) {
          expect(event).toMatchObject({ shadow: true });
          seen.add(event.event === "outcome" ? event.outcome : event.event);
        }
        for (const sample of of.samples) {
          expect(sample.kind).not.toBe("circuit");
          expect(sample).toMatchObject({ arm: "shadow" });
          seen.add(sample.kind);
        }
        // The guard goes on as if nothing had been: its budget, breaker, tripwire and places are whole.
        of.answerWith("value");
        const outcome = await of.guard.run(job, { subject: "ann", run: "run" });
        expect(outcome).toMatchObject({ status: "SUCCEEDED", path: "ai" });
        of.guard.close();
        expect(of.clock.pendingTimers).toBe(0);
      }),
      { numRuns: 300 },
    );
    for (const kind of ["SUCCEEDED", "STUBBED", "FAILED", "REJECTED", "alert", "check", "parity"]) {
      expect(seen, kind).toContain(kind);
    }
  }, 60_000);
});
