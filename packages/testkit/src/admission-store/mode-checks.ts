import { Reason, type GateMode } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { withStore, type AdmissionStoreOptions, type CreateAdmissionStore } from "./bench.ts";

const leaseMs = 1000;

/** Each dimension alone, with room for exactly one. */
const oneOfEach = (mode: GateMode): readonly (readonly [Reason, AdmissionStoreOptions])[] => [
  [Reason.USER_IN_FLIGHT, { leaseMs, userInFlight: { limit: 1, mode } }],
  [Reason.GLOBAL_IN_FLIGHT, { leaseMs, globalInFlight: { limit: 1, mode } }],
  [Reason.MESSAGE_RATE, { leaseMs, messageRate: { count: 1, perMs: 60_000, burst: 1, mode } }],
];

const allAre = (mode: GateMode) => ({
  user_in_flight: mode,
  global_in_flight: mode,
  message_rate: mode,
});

export const modeChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "never refuses by a dimension in shadow, and names what it would have refused",
    async run(create) {
      for (const [reason, options] of oneOfEach("shadow")) {
        await withStore(create, options, async ({ ask }) => {
          expect(await ask("ann")).toMatchObject({ admitted: true, wouldRefuse: [] });
          for (let i = 0; i < 5; i += 1) {
            expect(await ask("ann")).toMatchObject({ admitted: true, wouldRefuse: [reason] });
          }
        });
      }
    },
  },
  {
    name: "takes no place in a dimension in shadow for a request that it would have refused",
    async run(create) {
      const places = oneOfEach("shadow").filter(([reason]) => reason !== Reason.MESSAGE_RATE);
      for (const [reason, options] of places) {
        await withStore(create, options, async ({ take, ask }) => {
          const first = await take("ann");
          expect(await ask("ann")).toMatchObject({ wouldRefuse: [reason] });
          first.release();
          expect(await ask("ann")).toMatchObject({ wouldRefuse: [] });
        });
      }
    },
  },
  {
    name: "neither refuses nor names anything by a dimension that is off",
    async run(create) {
      for (const [, options] of oneOfEach("off")) {
        await withStore(create, options, async ({ ask }) => {
          for (let i = 0; i < 5; i += 1) {
            expect(await ask("ann")).toMatchObject({ admitted: true, wouldRefuse: [] });
          }
        });
      }
    },
  },
  {
    name: "takes the modes that a request brings in place of its own",
    async run(create) {
      for (const its of ["enforce", "shadow", "off"] as const) {
        for (const [reason, options] of oneOfEach(its)) {
          await withStore(create, options, async ({ admitted, ask, refusal }) => {
            await admitted("ann", { modes: allAre("enforce") });
            const would = await ask("ann", { modes: allAre("shadow") });
            expect(would, its).toMatchObject({ admitted: true, wouldRefuse: [reason] });
            expect(await refusal("ann", { modes: allAre("enforce") })).toMatchObject({ reason });
            const off = await ask("ann", { modes: allAre("off") });
            expect(off, its).toMatchObject({ admitted: true, wouldRefuse: [] });
          });
        }
      }
    },
  },
  {
    name: "enforces a dimension whose mode was not given",
    async run(create) {
      const unset: readonly AdmissionStoreOptions[] = [
        { leaseMs, userInFlight: { limit: 1 } },
        { leaseMs, globalInFlight: { limit: 1 } },
        { leaseMs, messageRate: { count: 1, perMs: 60_000, burst: 1 } },
      ];
      for (const options of unset) {
        await withStore(create, options, async ({ take, refusal }) => {
          await take("ann");
          await refusal("ann");
        });
      }
    },
  },
  {
    name: "refuses by a dimension in force while another is in shadow, and names both",
    run: (create) =>
      withStore(
        create,
        { leaseMs, userInFlight: { limit: 1, mode: "shadow" }, globalInFlight: { limit: 2 } },
        async ({ take, refusal }) => {
          await take("ann");
          await take("ben");
          expect(await refusal("ann")).toMatchObject({
            reason: Reason.GLOBAL_IN_FLIGHT,
            wouldRefuse: [Reason.USER_IN_FLIGHT],
          });
        },
      ),
  },
  {
    name: "describes itself in one plain line a dimension",
    run: (create) =>
      withStore(
        create,
        {
          leaseMs,
          userInFlight: { limit: 37 },
          globalInFlight: { limit: 41, mode: "shadow" },
          messageRate: { count: 43, perMs: 1000, burst: 47, mode: "off" },
          toolRate: { count: 53, perMs: 1000, burst: 59, mode: "shadow" },
        },
        ({ store }) => {
          const lines = store.describe();
          for (const words of [/37.*enforce/, /41.*shadow/, /43.*off/, /53.*shadow/]) {
            expect(lines.filter((line) => words.test(line) && !line.includes("\n"))).toHaveLength(
              1,
            );
          }
          return Promise.resolve();
        },
      ),
  },
];
