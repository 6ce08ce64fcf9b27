import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { withStore, type CreateAdmissionStore } from "./bench.ts";

const leaseMs = 1000;

export const placeChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "admits a subject up to its limit and refuses the next with USER_IN_FLIGHT",
    run: (create) =>
      withStore(create, { leaseMs, userInFlight: { limit: 3 } }, async ({ take, refusal }) => {
        for (let i = 0; i < 3; i += 1) await take("ann");
        const { reason, retryAfterMs, wouldRefuse } = await refusal("ann");
        expect(reason).toBe(Reason.USER_IN_FLIGHT);
        expect(retryAfterMs).toBeGreaterThan(0);
        expect(wouldRefuse).toEqual([]);
      }),
  },
  {
    name: "limits one subject without limiting another",
    run: (create) =>
      withStore(create, { leaseMs, userInFlight: { limit: 1 } }, async ({ take, refusal }) => {
        await take("ann");
        await take("ben");
        await refusal("ann");
        await refusal("ben");
        await take("cat");
      }),
  },
  {
    name: "admits all subjects up to the global limit and refuses the next with GLOBAL_IN_FLIGHT",
    run: (create) =>
      withStore(create, { leaseMs, globalInFlight: { limit: 3 } }, async ({ take, refusal }) => {
        for (const subject of ["ann", "ben", "ann"]) await take(subject);
        const { reason, retryAfterMs } = await refusal("cat");
        expect(reason).toBe(Reason.GLOBAL_IN_FLIGHT);
        expect(retryAfterMs).toBeGreaterThan(0);
      }),
  },
  {
    name: "gives a released place to the next at once",
    run: (create) =>
      withStore(
        create,
        { leaseMs, userInFlight: { limit: 2 }, globalInFlight: { limit: 2 } },
        async ({ take, refusal }) => {
          const first = await take("ann");
          await take("ann");
          await refusal("ann");
          first.release();
          await take("ann");
          await refusal("ann");
        },
      ),
  },
  {
    name: "counts a second release of the same lease as nothing",
    run: (create) =>
      withStore(
        create,
        { leaseMs, userInFlight: { limit: 2 }, globalInFlight: { limit: 3 } },
        async ({ take, refusal }) => {
          const first = await take("ann");
          await take("ann");
          await take("ben");
          for (let i = 0; i < 3; i += 1) first.release();
          await take("ann");
          expect((await refusal("ann")).reason).toBe(Reason.USER_IN_FLIGHT);
          expect((await refusal("cat")).reason).toBe(Reason.GLOBAL_IN_FLIGHT);
        },
      ),
  },
  {
    name: "keeps subjects with awkward names apart",
    run: (create) =>
      withStore(create, { leaseMs, userInFlight: { limit: 1 } }, async ({ take, refusal }) => {
        const names = [
          "a",
          "a:b",
          "a:",
          ":a",
          "a b",
          "a\n",
          "{a}",
          "*",
          "__proto__",
          "constructor",
        ];
        const more = [
          "toString",
          "0",
          "00",
          "caf\u00e9",
          "cafe\u0301",
          "受験生",
          "🧪",
          "a".repeat(1024),
        ];
        for (const name of [...names, ...more]) await take(name);
        for (const name of [...names, ...more]) await refusal(name);
      }),
  },
];
