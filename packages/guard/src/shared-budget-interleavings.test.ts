import type { AdmissionStore, ProviderReply, SharedReservation } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  seededRandom,
  valueReply,
  type FakeCall,
  type SampleJob,
  type SeededRandom,
} from "@sluice/testkit";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createGuard, memoryAdmission, staticFlags } from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

const capTokens = 200;
const promptTokens = 6;
const outputTokens = 10;
const callTokens = promptTokens + outputTokens;

/** Answers that a test lets through one by one, in whatever order; some are decided on only then. */
function heldBack(random: SeededRandom) {
  const waiting: (() => void)[] = [];
  const hold = <Answer>(decide: () => Answer): Promise<Answer> => {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    if (random.next() < 0.5) {
      const answer = decide();
      waiting.push(() => resolve(answer));
    } else waiting.push(() => resolve(decide()));
    return promise;
  };
  return { waiting, hold };
}

type Hold = ReturnType<typeof heldBack>["hold"];

/** The same store, as if behind a network. */
function remote(store: AdmissionStore, hold: Hold): AdmissionStore {
  const far = (reservation: SharedReservation): SharedReservation => ({
    ...reservation,
    further: async (ask) => {
      const reply = await hold(() => reservation.further(ask));
      if (reply === "unavailable" || !reply.granted) return reply;
      return { granted: true, reservation: far(reply.reservation) };
    },
  });
  return {
    ...store,
    async acquire(...asked) {
      const reply = await hold(() => store.acquire(...asked));
      if (reply === "unavailable" || !reply.admitted || reply.reservation === undefined) {
        return reply;
      }
      return { ...reply, reservation: far(reply.reservation) };
    },
  };
}

/** How a call ends, and what is charged for it then. */
const endings: readonly (readonly [ProviderReply, number])[] = [
  [valueReply(sampleAnswer, { inputTokens: promptTokens, outputTokens }), callTokens],
  [valueReply(sampleAnswer), callTokens],
  [errorReply("PROVIDER_UNAVAILABLE"), callTokens],
  [errorReply("CONTENT_FILTERED", { usage: { inputTokens: 6, outputTokens: 10 } }), callTokens],
  [errorReply("PROVIDER_UNAVAILABLE", { dispatched: false }), 0],
];

describe("I3 200 concurrent calls of 16 tokens on a shared budget of 200 tokens", () => {
  it.each(["at once", "over a network"])(
    "run 12 times at most, however starts, answers and ends interleave, %s",
    async (how) => {
      await fc.assert(
        fc.asyncProperty(fc.integer(), async (seed) => {
          const random = seededRandom(seed);
          const clock = new FakeClock();
          const { waiting, hold } = heldBack(random);
          const memory = memoryAdmission({ globalBudget: { tokens: capTokens }, clock });
          const open: FakeCall<SampleJob>[] = [];
          const guard = createGuard({
            ...sampleFeature,
            provider: fakeProvider<SampleJob>({
              inputTokens: () => promptTokens,
              onCall: (call) => void open.push(call),
            }),
            flags: staticFlags({ sample_ai: { enabled: true } }),
            clock,
            admission: how === "at once" ? memory : remote(memory, hold),
            budget: {
              callsPerRun: 1000,
              maxOutputTokens: outputTokens,
              minOutputTokens: outputTokens,
            },
            retry: { maxRetries: 1, budgetRatio: 1 },
            breaker: { minCalls: 1000 },
            random: () => 0,
          });
          const runs: Promise<unknown>[] = [];
          const ended: unknown[] = [];
          let charged = 0;
          const start = (): void => {
            const run = guard.run({ prompt: "p" }, { subject: `u${runs.length}` });
            runs.push(run.then((outcome) => ended.push(outcome)));
          };
          const pick = <Item>(from: Item[]): Item | undefined =>
            from.splice(random.integer(0, from.length - 1), 1)[0];
          const steps = [
            () => void (runs.length < 200 && start()),
            () => pick(waiting)?.(),
            () => {
              const call = pick(open);
              if (call === undefined) return;
              const [reply, tokens] = random.pick(endings);
              charged += tokens;
              call.reply(reply);
            },
          ];
          while (ended.length < 200) {
            // Several in one turn of the loop, so that they meet.
            for (let i = random.integer(1, 40); i > 0; i -= 1) random.pick(steps)();
            await clock.advanceAsync(0);
            // Those that run could all still use the whole of what they asked for.
            expect(charged + open.length * callTokens).toBeLessThanOrEqual(capTokens);
          }
          await Promise.all(runs);
          expect(charged).toBeLessThanOrEqual(12 * callTokens);
          const left = memory.acquire("looks");
          if (left instanceof Promise || left === "unavailable") throw new Error("no answer");
          expect(left.states).toMatchObject([{ remaining: capTokens - charged }]);
          guard.close();
        }),
        { numRuns: 25 },
      );
    },
    60_000,
  );
});
