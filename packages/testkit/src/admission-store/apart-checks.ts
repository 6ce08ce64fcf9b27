import type { AdmissionStore } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { withStore, type AdmissionStoreOptions, type CreateAdmissionStore } from "./bench.ts";

/** Each dimension alone, with room for exactly one. */
const oneOfEach: readonly AdmissionStoreOptions[] = [
  { leaseMs: 1000, userInFlight: { limit: 1 } },
  { leaseMs: 1000, globalInFlight: { limit: 1 } },
  { leaseMs: 1000, messageRate: { count: 1, perMs: 60_000, burst: 1 } },
];
const oneToolCall: AdmissionStoreOptions = {
  leaseMs: 1000,
  toolRate: { count: 1, perMs: 60_000, burst: 1 },
};

/** Runs on a store apart, and closes it. */
async function withApart(
  of: AdmissionStore,
  use: (apart: AdmissionStore) => Promise<void>,
): Promise<void> {
  const apart = of.apart?.();
  if (apart === undefined) throw new Error("the store has no store apart");
  try {
    await use(apart);
  } finally {
    apart.close();
  }
}

const isAdmitted = async (store: AdmissionStore): Promise<boolean> => {
  const reply = await store.acquire("ann");
  if (reply === "unavailable") throw new Error("unavailable");
  return reply.admitted;
};

export const apartChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "counts apart: what is held here is not held there, nor the other way round",
    async run(create) {
      for (const options of oneOfEach) {
        await withStore(create, options, ({ store }) =>
          withApart(store, async (apart) => {
            expect(await isAdmitted(store)).toBe(true);
            expect(await isAdmitted(apart)).toBe(true);
          }),
        );
        await withStore(create, options, ({ store }) =>
          withApart(store, async (apart) => {
            expect(await isAdmitted(apart)).toBe(true);
            expect(await isAdmitted(store)).toBe(true);
          }),
        );
      }
    },
  },
  {
    name: "has the same limits apart",
    async run(create) {
      for (const options of oneOfEach) {
        await withStore(create, options, ({ store }) =>
          withApart(store, async (apart) => {
            expect(apart.describe()).toEqual(store.describe());
            expect(apart.leaseMs).toBe(store.leaseMs);
            expect(await isAdmitted(apart)).toBe(true);
            expect(await isAdmitted(apart)).toBe(false);
          }),
        );
      }
    },
  },
  {
    name: "counts tool calls apart, by the same rate",
    run: (create) =>
      withStore(create, oneToolCall, ({ store, takeTool }) =>
        withApart(store, async (apart) => {
          expect(await apart.takeTool?.("ann")).toEqual({ allowed: true });
          expect(await apart.takeTool?.("ann")).toMatchObject({ allowed: false });
          expect(await takeTool("ann")).toEqual({ allowed: true });
        }),
      ),
  },
  {
    name: "goes on counting when a store apart is closed",
    run: (create) =>
      withStore(create, { leaseMs: 1000, globalInFlight: { limit: 1 } }, async (bench) => {
        await bench.take("ann");
        await withApart(bench.store, async (apart) => {
          expect(await isAdmitted(apart)).toBe(true);
        });
        await bench.refusal("ann");
      }),
  },
];
