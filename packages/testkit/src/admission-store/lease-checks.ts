import { Reason, type AdmissionLease } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { withStore, type CreateAdmissionStore } from "./bench.ts";

const leaseMs = 1000;

export const leaseChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "I4 frees the place of a lease that is not renewed after leaseMs, and not before",
    run: (create) =>
      withStore(
        create,
        { leaseMs, userInFlight: { limit: 1 }, globalInFlight: { limit: 1 } },
        async ({ store, clock, take, refusal }) => {
          expect(store.leaseMs).toBe(leaseMs);
          await take("ann");
          await clock.advanceAsync(leaseMs - 1);
          await refusal("ann");
          await refusal("ben");
          await clock.advanceAsync(2);
          await take("ann");
          await refusal("ben");
        },
      ),
  },
  {
    name: "keeps the place of a lease for as long as it is renewed",
    run: (create) =>
      withStore(create, { leaseMs, userInFlight: { limit: 1 } }, async (bench) => {
        const lease = await bench.take("ann");
        for (let i = 0; i < 10; i += 1) {
          await bench.clock.advanceAsync(leaseMs - 1);
          lease.renew();
          await bench.refusal("ann");
        }
        await bench.clock.advanceAsync(leaseMs + 1);
        await bench.take("ann");
      }),
  },
  {
    name: "frees the leases that are not renewed although older ones are",
    run: (create) =>
      withStore(create, { leaseMs, globalInFlight: { limit: 3 } }, async (bench) => {
        const renewed = await bench.take("ann");
        await bench.take("ben");
        await bench.take("cat");
        await bench.clock.advanceAsync(leaseMs / 2);
        renewed.renew();
        await bench.clock.advanceAsync(leaseMs / 2 + 1);
        await bench.take("dan");
        await bench.take("eve");
        await bench.refusal("fay");
      }),
  },
  {
    name: "does not bring a released lease back by renewing it",
    run: (create) =>
      withStore(create, { leaseMs, userInFlight: { limit: 1 } }, async ({ take, refusal }) => {
        const lease = await take("ann");
        lease.release();
        lease.renew();
        await take("ann");
        lease.renew();
        lease.release();
        await refusal("ann");
      }),
  },
  {
    name: "neither renews nor frees anything by an expired lease",
    run: (create) =>
      withStore(
        create,
        { leaseMs, userInFlight: { limit: 1 }, globalInFlight: { limit: 2 } },
        async ({ clock, take, refusal }) => {
          const expired = await take("ann");
          await clock.advanceAsync(leaseMs + 1);
          expired.renew();
          await take("ann");
          await take("ben");
          expired.release();
          expired.renew();
          expect((await refusal("ann")).reason).toBe(Reason.USER_IN_FLIGHT);
          expect((await refusal("cat")).reason).toBe(Reason.GLOBAL_IN_FLIGHT);
        },
      ),
  },
  {
    name: "I12 never forgets a live lease to make room, however many subjects come",
    run: (create) =>
      withStore(
        create,
        { leaseMs, maxLeases: 4, userInFlight: { limit: 1 } },
        async ({ store, take }) => {
          const held = ["ann", "ben", "cat", "dan"];
          const leases = new Map<string, AdmissionLease>();
          for (const subject of held) leases.set(subject, await take(subject));
          for (let i = 0; i < 100; i += 1) await store.acquire(`stranger-${i}`);
          for (const subject of held) {
            const reply = await store.acquire(subject);
            expect(reply !== "unavailable" && reply.admitted, subject).toBe(false);
          }
        },
      ),
  },
  {
    name: "admits again once a full store has a place, by release or by expiry",
    run: (create) =>
      withStore(create, { leaseMs, maxLeases: 2, userInFlight: { limit: 1 } }, async (bench) => {
        const first = await bench.take("ann");
        await bench.take("ben");
        first.release();
        await bench.take("cat");
        await bench.clock.advanceAsync(leaseMs + 1);
        await bench.take("dan");
        await bench.take("eve");
      }),
  },
];
