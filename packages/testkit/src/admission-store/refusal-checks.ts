import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { withStore, type CreateAdmissionStore } from "./bench.ts";

const leaseMs = 1000;

export const refusalChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "I14 takes no rate token for a request that a place is missing for",
    run: (create) =>
      withStore(
        create,
        {
          leaseMs,
          userInFlight: { limit: 1 },
          messageRate: { count: 1, perMs: 60_000, burst: 3 },
        },
        async ({ take, refusal }) => {
          await take("ann");
          for (let i = 0; i < 10; i += 1) {
            expect((await refusal("ann")).reason).toBe(Reason.USER_IN_FLIGHT);
          }
          await take("ben");
          await take("cat");
          expect((await refusal("dan")).reason).toBe(Reason.MESSAGE_RATE);
        },
      ),
  },
  {
    name: "I14 takes no place for a request that the rate refuses",
    run: (create) =>
      withStore(
        create,
        {
          leaseMs: 60_000,
          userInFlight: { limit: 2 },
          globalInFlight: { limit: 2 },
          messageRate: { count: 1, perMs: 1000, burst: 1 },
        },
        async ({ clock, take, refusal }) => {
          await take("ann");
          for (let i = 0; i < 10; i += 1) {
            expect((await refusal("ann")).reason).toBe(Reason.MESSAGE_RATE);
          }
          await clock.advanceAsync(1000);
          await take("ann");
          await clock.advanceAsync(1000);
          await refusal("ann");
          await refusal("ben");
        },
      ),
  },
  {
    name: "I14 takes no place of the subject for a request that the global limit refuses",
    run: (create) =>
      withStore(
        create,
        { leaseMs, userInFlight: { limit: 1 }, globalInFlight: { limit: 1 } },
        async ({ take, refusal }) => {
          const lease = await take("ann");
          for (let i = 0; i < 10; i += 1) {
            expect((await refusal("ben")).reason).toBe(Reason.GLOBAL_IN_FLIGHT);
          }
          lease.release();
          await take("ben");
        },
      ),
  },
];
