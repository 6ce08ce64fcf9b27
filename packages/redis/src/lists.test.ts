import { randomUUID } from "node:crypto";
import type { AdmissionLease } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { createIds, idLength } from "./ids.ts";
import { createKeys } from "./keys.ts";
import { redisAdmission, type RedisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";
import { readUserPlaces } from "./user-places-for-tests.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
client.setMaxListeners(0);
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const secret = "a secret of the tests";

async function open() {
  await ready;
  const clock = new FakeClock();
  const namespace = `t${randomUUID()}`;
  const start = (options: Partial<RedisAdmissionOptions>): RedisAdmission =>
    redisAdmission(
      {
        client,
        clock,
        random: () => 0.5,
        instanceId: randomUUID(),
        namespace,
        secret,
        deadlineMs: 5000,
        heartbeat: false,
        ...options,
      },
      () => 1e12 + clock.monotonicMs(),
    );
  return { clock, start, keys: createKeys(namespace, secret) };
}

const take = async (store: RedisAdmission, subject: string): Promise<AdmissionLease> => {
  const reply = await store.acquire(subject);
  if (reply === "unavailable" || !reply.admitted) throw new Error("not admitted");
  return reply.lease;
};

describe("ids of requests", () => {
  it("have one length, differ, and say nothing of their process that it does not say itself", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 5 }), (processes) => {
        const ids = processes.flatMap((name) => {
          const next = createIds(name);
          return Array.from({ length: 40 }, next);
        });
        expect(new Set(ids).size).toBe(ids.length);
        for (const id of ids) expect(id).toMatch(new RegExp(`^[A-Za-z0-9_-]{${idLength}}$`));
      }),
    );
  });
});

describe("subjects' requests in flight in Redis", () => {
  it("are over each by itself: processes may have other lease times", async () => {
    const { clock, start, keys } = await open();
    const short = start({ userInFlight: { limit: 2 }, leaseMs: 1000 });
    const long = start({ userInFlight: { limit: 2 }, leaseMs: 60_000 });
    await take(short, "ann");
    const held = await take(long, "ann");
    expect(await long.acquire("ann")).toMatchObject({ admitted: false });
    await clock.advanceAsync(1000);
    await take(short, "ann");
    expect(await long.acquire("ann")).toMatchObject({ admitted: false });
    held.release();
    await long.flush();
    expect(await readUserPlaces(client, keys, "ann")).toHaveLength(1);
    for (const store of [short, long]) store.close();
  });

  it("are gone a while after a crash also where their subjects stay away, and others' are not", async () => {
    const { clock, start, keys } = await open();
    const crashed = start({ userInFlight: { limit: 1, candidate: 1 }, leaseMs: 1000 });
    const subjects = Array.from({ length: 900 }, (_, n) => `user-${n}`);
    await Promise.all(subjects.map((subject) => take(crashed, subject)));
    const lives = start({ userInFlight: { limit: 1, candidate: 1 }, leaseMs: 60_000 });
    const others = Array.from({ length: 30 }, (_, n) => `other-${n}`);
    await Promise.all(others.map((subject) => take(lives, subject)));
    const lists = [keys.usersInFlight, `${keys.usersInFlight}:candidate`];
    const lengths = () => Promise.all(lists.map((key) => client.hlen(key)));
    // One field says how far the look has come.
    expect(await lengths()).toEqual([931, 931]);
    await clock.advanceAsync(1000);
    const looks = start({ userInFlight: { limit: 1, candidate: 1 }, leaseMs: 1000 });
    for (let turn = 0; turn < 20; turn += 1) {
      (await take(looks, "looks")).release();
      await clock.advanceAsync(400);
    }
    await looks.flush();
    expect(await lengths()).toEqual([31, 31]);
    for (const subject of others) {
      expect(await lives.acquire(subject)).toMatchObject({ admitted: false });
    }
    for (const store of [crashed, lives, looks]) store.close();
  });

  it("and budgets are found by a hash from the first: Redis would read all of a small one", async () => {
    const { clock, start, keys } = await open();
    const caps = { calls: 10 };
    const store = start({ userInFlight: { limit: 1 }, userBudget: caps, globalBudget: caps });
    const budget = { inputTokens: 1, outputTokens: 1, minOutputTokens: 1, price: undefined };
    await store.acquire("ann", { budget });
    const day = new Date(clock.wallMs()).toISOString().slice(0, 10);
    for (const key of [keys.usersInFlight, keys.budgets(day), keys.userBudgets(day)]) {
      expect(await client.object("ENCODING", key), key).toBe("hashtable");
    }
    store.close();
  });

  it("are told anew as they were, over any order of beats, endings and losses", async () => {
    const step = fc.constantFrom("take", "release", "beat", "lose", "beat");
    const traces = fc.array(fc.tuple(step, fc.nat(5)), { maxLength: 15 });
    await fc.assert(
      fc.asyncProperty(traces, async (steps) => {
        const { clock, start, keys } = await open();
        const store = start({ userInFlight: { limit: 100 }, leaseMs: 60_000, heartbeat: true });
        const held: AdmissionLease[] = [];
        let isLost = false;
        for (const [what, which] of steps) {
          if (what === "take") held.push(await take(store, "ann"));
          if (what === "release") held.splice(which, 1).forEach((lease) => lease.release());
          if (what === "beat") {
            for (const lease of held) lease.renew();
            await clock.advanceAsync(22_000);
            isLost = false;
          }
          if (what === "lose") isLost = (await client.del(keys.usersInFlight)) === 1 || isLost;
          await store.flush();
          const places = await readUserPlaces(client, keys, "ann");
          expect(new Set(places.map(({ id }) => id)).size).toBe(places.length);
          // Until all that live are told anew, what is there is less.
          expect(places.length).toBeLessThanOrEqual(held.length);
          expect(isLost || places.length === held.length).toBe(true);
        }
        store.close();
      }),
      { numRuns: 30 },
    );
  });
});
