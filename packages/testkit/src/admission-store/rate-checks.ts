import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { withStore, type CreateAdmissionStore } from "./bench.ts";

const leaseMs = 1000;

export const rateChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "admits exactly the burst at once, and then one message each interval",
    run: (create) =>
      withStore(
        create,
        { leaseMs, messageRate: { count: 2, perMs: 1000, burst: 5 } },
        async ({ clock, take, refusal }) => {
          for (let i = 0; i < 5; i += 1) await take(`subject-${i}`);
          expect((await refusal("more")).reason).toBe(Reason.MESSAGE_RATE);
          for (let i = 0; i < 5; i += 1) {
            await clock.advanceAsync(500);
            await take("next");
            await refusal("more");
          }
        },
      ),
  },
  {
    name: "tells with a refusal by rate when another try succeeds, and no earlier one does",
    run: (create) =>
      withStore(
        create,
        { leaseMs, messageRate: { count: 1, perMs: 1000, burst: 1 } },
        async ({ clock, take, refusal }) => {
          await take("ann");
          await clock.advanceAsync(400);
          expect((await refusal("ann")).retryAfterMs).toBe(600);
          await clock.advanceAsync(599);
          await refusal("ann");
          await clock.advanceAsync(1);
          await take("ann");
        },
      ),
  },
  {
    name: "saves up no more than the burst over a long silence",
    run: (create) =>
      withStore(
        create,
        { leaseMs, messageRate: { count: 10, perMs: 1000, burst: 2 } },
        async ({ clock, take, refusal }) => {
          await take("ann");
          await clock.advanceAsync(60_000);
          await take("ann");
          await take("ann");
          await refusal("ann");
        },
      ),
  },
  {
    name: "gives no rate back with a released lease",
    run: (create) =>
      withStore(
        create,
        { leaseMs, messageRate: { count: 1, perMs: 60_000, burst: 2 } },
        async ({ take, refusal }) => {
          (await take("ann")).release();
          (await take("ann")).release();
          await refusal("ann");
        },
      ),
  },
];
