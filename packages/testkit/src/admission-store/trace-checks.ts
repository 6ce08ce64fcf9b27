import type { AdmissionLease, AdmissionReply, GateMode } from "@sluice/contract";
import * as fc from "fast-check";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import {
  withStore,
  type AdmissionStoreOptions,
  type Bench,
  type CreateAdmissionStore,
} from "./bench.ts";
import { admissionModel } from "./model.ts";

const subjects = ["ann", "ben", "cat"] as const;

/** Times are multiples of ten and the lease time is not, so no trace depends on which side an edge falls. */
const traceLeaseMs = 1005;

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("acquire"), subject: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("release"), which: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("renew"), which: fc.nat(7) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("wait"), tens: fc.integer({ min: 1, max: 70 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const anyMode = fc.constantFrom<GateMode>("enforce", "enforce", "shadow", "off");
const anyOptions: fc.Arbitrary<AdmissionStoreOptions> = fc.record(
  {
    leaseMs: fc.constant(traceLeaseMs),
    userInFlight: fc.record({ limit: fc.integer({ min: 1, max: 3 }), mode: anyMode }),
    globalInFlight: fc.record({ limit: fc.integer({ min: 1, max: 5 }), mode: anyMode }),
    messageRate: fc.record({
      count: fc.constant(1),
      perMs: fc.integer({ min: 1, max: 30 }).map((tens) => tens * 10),
      burst: fc.integer({ min: 1, max: 6 }),
      mode: anyMode,
    }),
  },
  { requiredKeys: ["leaseMs"] },
);

/** Plays a trace; a lease that was not admitted keeps its number, so that traces of two stores compare. */
async function play(
  { clock, ask }: Bench,
  steps: readonly Step[],
  told: (reply: AdmissionReply, subject: string) => void,
  ended: (how: "release" | "renew", lease: number) => void = () => undefined,
): Promise<readonly (AdmissionLease | undefined)[]> {
  const leases: (AdmissionLease | undefined)[] = [];
  for (const one of steps) {
    if ("subject" in one) {
      const subject = subjects[one.subject] ?? "ann";
      const reply = await ask(subject);
      leases.push(reply.admitted ? reply.lease : undefined);
      told(reply, subject);
    } else if ("tens" in one) {
      await clock.advanceAsync(one.tens * 10);
    } else if (leases.length > 0) {
      // One of the latest, so that most of what is released or renewed is still alive.
      const which = leases.length - 1 - (one.which % leases.length);
      const how = one.kind === "renew" ? "renew" : "release";
      leases[which]?.[how]();
      ended(how, which);
    }
  }
  return leases;
}

export const traceChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "I4 holds its limits exactly and leaks nothing over any trace of requests, releases, renewals and time",
    run: (create) =>
      fc.assert(
        fc.asyncProperty(
          anyOptions,
          fc.array(step, { maxLength: 60, size: "max" }),
          (options, steps) =>
            withStore(create, options, async (bench) => {
              const model = admissionModel(options, bench.clock);
              const compare = (reply: AdmissionReply, subject: string): void => {
                const expected = model.acquire(subject);
                expect(new Set(reply.wouldRefuse)).toEqual(expected.wouldRefuse);
                expect(reply.admitted).toBe(expected.refused.size === 0);
                if (reply.admitted) return;
                expect(expected.refused).toContain(reply.reason);
                expect(reply.retryAfterMs).toBeGreaterThan(0);
              };
              const leases = await play(bench, steps, compare, (how, lease) => model[how](lease));
              for (const [i, lease] of leases.entries()) {
                lease?.release();
                model.release(i);
              }
              await bench.clock.advanceAsync(10_000);
              for (const subject of [...subjects, ...subjects]) {
                compare(await bench.ask(subject), subject);
              }
            }),
        ),
        { numRuns: 150 },
      ),
  },
  {
    name: "predicts by a dimension in shadow exactly what that dimension refuses in force",
    run: (create) =>
      fc.assert(
        fc.asyncProperty(
          fc.constantFrom("userInFlight", "globalInFlight", "messageRate"),
          fc.array(step, { maxLength: 40, size: "max" }),
          async (dimension, steps) => {
            const refusedIn = async (mode: GateMode): Promise<readonly boolean[]> => {
              const all = {
                userInFlight: { limit: 2, mode },
                globalInFlight: { limit: 3, mode },
                messageRate: { count: 1, perMs: 200, burst: 2, mode },
              };
              const refused: boolean[] = [];
              await withStore(
                create,
                { leaseMs: traceLeaseMs, [dimension]: all[dimension] },
                async (bench) => {
                  await play(bench, steps, (reply) => {
                    refused.push(
                      mode === "shadow" ? reply.wouldRefuse.length > 0 : !reply.admitted,
                    );
                  });
                },
              );
              return refused;
            };
            expect(await refusedIn("shadow")).toEqual(await refusedIn("enforce"));
          },
        ),
        { numRuns: 60 },
      ),
  },
];
