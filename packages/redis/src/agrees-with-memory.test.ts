import { randomUUID } from "node:crypto";
import {
  admissionDimensions,
  gateModes,
  type AdmissionAsk,
  type AdmissionReply,
  type GateMode,
} from "@sluice/contract";
import { createAdmissionMachine, dayTeller, type MachineLimits } from "@sluice/policy";
import { FakeClock } from "@sluice/testkit";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const leaseMs = 3_600_000;

const mode = fc.constantFrom<GateMode>(...gateModes);
const places = fc.option(fc.record({ limit: fc.integer({ min: 1, max: 4 }), mode }), {
  nil: undefined,
});
const budget = fc.option(
  fc
    .record(
      {
        calls: fc.integer({ min: 1, max: 6 }),
        tokens: fc.integer({ min: 1, max: 900 }),
        costNanoUsd: fc.integer({ min: 1, max: 20_000 }),
      },
      { requiredKeys: [] },
    )
    .filter((caps) => Object.keys(caps).length > 0)
    .chain((caps) => mode.map((its) => ({ ...caps, mode: its }))),
  { nil: undefined },
);
const limits = fc.record({
  userInFlight: places,
  globalInFlight: places,
  messageRate: fc.option(
    fc.record({
      // A message each 250, 500 or 1000 ms.
      count: fc.constantFrom(1, 2, 4),
      perMs: fc.constant(1000),
      burst: fc.integer({ min: 1, max: 4 }),
      mode,
    }),
    { nil: undefined },
  ),
  userBudget: budget,
  globalBudget: budget,
});

const anyAsk: fc.Arbitrary<AdmissionAsk> = fc.record({
  budget: fc.option(
    fc.record({
      inputTokens: fc.nat(100),
      outputTokens: fc.nat(200),
      minOutputTokens: fc.nat(60),
      price: fc.option(fc.constant({ inputNanoUsdPerToken: 5, outputNanoUsdPerToken: 20 }), {
        nil: undefined,
      }),
    }),
    { nil: undefined },
  ),
  modes: fc.option(
    fc.record(Object.fromEntries(admissionDimensions.map((name) => [name, mode])), {
      requiredKeys: [],
    }),
    { nil: undefined },
  ),
});
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ subject: fc.constantFrom("ann", "ben"), ask: anyAsk }) },
  {
    weight: 2,
    arbitrary: fc.record({
      end: fc.constantFrom("settle", "lose", "void"),
      which: fc.nat(9),
      share: fc.nat(100),
    }),
  },
  { weight: 1, arbitrary: fc.record({ passMs: fc.integer({ min: 1, max: 700 }) }) },
);

/** What both must say alike; how long a place takes is a guess of each. */
const answerOf = (reply: AdmissionReply, asked: AdmissionAsk) => ({
  admitted: reply.admitted,
  wouldRefuse: reply.wouldRefuse,
  violated: reply.admitted ? [] : reply.violated,
  outputTokens: reply.admitted ? reply.reservation?.outputTokens : undefined,
  // A trip that asks for no budget brings nothing of budgets.
  states: reply.states?.filter(
    ({ dimension }) => asked.budget !== undefined || !dimension.endsWith("_budget"),
  ),
});

describe("redisAdmission and the machine in memory", () => {
  it("answer alike on any trace: verdicts, what a shadow would say, grants, and what stands after it", async () => {
    await ready;
    await fc.assert(
      fc.asyncProperty(limits, fc.array(step, { maxLength: 25 }), async (given, steps) => {
        const clock = new FakeClock();
        const dayOf = dayTeller("UTC");
        const machineLimits: MachineLimits = { ...given, toolRate: undefined };
        const machine = createAdmissionMachine(leaseMs, 1000);
        const store = redisAdmission(
          {
            client,
            clock,
            random: () => 0.5,
            instanceId: randomUUID(),
            namespace: `t${randomUUID()}`,
            secret: "a secret of the tests",
            deadlineMs: 10_000,
            leaseMs,
            ...given,
          },
          () => 1e12 + clock.monotonicMs(),
        );
        const answers = { redis: [] as unknown[], memory: [] as unknown[] };
        const ends: ((how: string, share: number) => void)[] = [];
        try {
          for (const what of steps) {
            if ("passMs" in what) {
              await clock.advanceAsync(what.passMs);
            } else if ("end" in what) {
              ends[what.which]?.(what.end, what.share);
              await store.flush();
            } else {
              const { subject } = what;
              const wallMs = clock.wallMs();
              const reply = await store.acquire(subject, what.ask);
              const local = machine.acquire({
                subject,
                ask: what.ask,
                nowMs: clock.monotonicMs(),
                limits: machineLimits,
                day: dayOf(wallMs),
                wallMs,
              });
              if (reply === "unavailable" || local === "full") throw new Error("no answer");
              const { ask } = what;
              answers.redis.push(answerOf(reply, ask));
              // A rate that refused just now is told from what is remembered, and without the rest.
              const isRemembered = !reply.admitted && reply.states === undefined;
              const { states, ...known } = answerOf(local as unknown as AdmissionReply, ask);
              answers.memory.push({ ...known, states: isRemembered ? undefined : states });
              if (!reply.admitted || !local.admitted) continue;
              let isOver = false;
              ends.push((how, share) => {
                const { reservation } = reply;
                const usage = {
                  inputTokens: Math.floor(((reservation?.inputTokens ?? 0) * share) / 100),
                  outputTokens: Math.floor(((reservation?.outputTokens ?? 0) * share) / 100),
                };
                if (how === "void") reservation?.void();
                else reservation?.settle(how === "lose" ? undefined : usage);
                reply.lease.release();
                if (isOver) return;
                isOver = true;
                machine.release(local.lease);
                if (local.reservation === undefined) return;
                if (how === "void") machine.void(local.reservation);
                else machine.settle(local.reservation, how === "lose" ? undefined : usage);
              });
            }
          }
        } finally {
          store.close();
        }
        expect(answers.redis).toEqual(answers.memory);
      }),
      { numRuns: 150 },
    );
  }, 30_000);
});
