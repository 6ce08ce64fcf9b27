import { randomUUID } from "node:crypto";
import type { GuardOptions } from "@sluice/guard";
import { memoryAdmission, systemClock } from "@sluice/guard";
import { connectRedis, redisAdmission } from "@sluice/redis";
import type { z } from "zod";

type AdmissionStore = NonNullable<
  GuardOptions<unknown, z.ZodType, z.ZodType, z.ZodType>["admission"]
>;

/** Where places are counted, with a way to see how many are taken. */
export interface ChatAdmission {
  readonly store: AdmissionStore;
  /** Places in flight that somebody holds. */
  places(): Promise<number>;
}

/** Nobody is refused: what is measured is the way through. */
const limit = 1_000_000;
const limits = {
  userInFlight: { limit },
  globalInFlight: { limit },
  messageRate: { count: limit, perMs: 100 },
} as const;

export function inMemory(): ChatAdmission {
  const store = memoryAdmission(limits);
  return { store, places: () => placesOf(store) };
}

export async function inRedis(url: string): Promise<ChatAdmission> {
  const client = connectRedis({ url, random: Math.random });
  const ready = Promise.withResolvers<void>();
  client.once("ready", ready.resolve);
  await ready.promise;
  const store = redisAdmission({
    client,
    clock: systemClock,
    random: Math.random,
    instanceId: randomUUID(),
    namespace: `bench-${randomUUID()}`,
    secret: randomUUID(),
    // What is late is measured, not given up.
    deadlineMs: 10_000,
    ...limits,
  });
  return {
    store,
    async places() {
      await store.flush();
      return placesOf(store);
    },
  };
}

/** A store that takes every question and answers none. */
export function thatHangs(): ChatAdmission {
  const store: AdmissionStore = {
    name: "hangs",
    leaseMs: 30_000,
    acquire: () => Promise.withResolvers<never>().promise,
    apart: () => store,
    describe: () => [],
    close: () => undefined,
  };
  return { store, places: () => Promise.resolve(0) };
}

/** Asks for one more, which sees all others. */
async function placesOf(store: AdmissionStore): Promise<number> {
  const reply = await store.acquire("bench");
  if (reply === "unavailable" || !reply.admitted) throw new Error("bench: refused");
  const state = reply.states?.find(({ dimension }) => dimension === "global_in_flight");
  reply.lease.release();
  if (state === undefined) throw new Error("bench: nothing is counted");
  return state.limit - state.remaining - 1;
}
