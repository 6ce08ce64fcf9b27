import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { ConfigError, type AdmissionLease, type AdmissionReply } from "@sluice/contract";
import { FakeClock, seededRandom } from "@sluice/testkit";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { buildAcquireScript } from "./acquire-script.ts";
import { parseAdmissionOptions, type RedisAdmissionOptions } from "./admission-options.ts";
import { toPolicies } from "./policies.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";
import { createShards } from "./shards.ts";
import { readUserPlaces } from "./user-places-for-tests.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
client.setMaxListeners(0);
afterAll(() => client.disconnect());
const ready = once(client, "ready");

const secret = "a secret of the tests";
const count = 8;

/** Processes of one fleet with one clock. */
function openFleet(options: Partial<RedisAdmissionOptions>, processes = 4) {
  const clock = new FakeClock();
  const namespace = `t${randomUUID()}`;
  const given = { namespace, secret, shards: { count }, ...options };
  const stores = Array.from({ length: processes }, () =>
    redisAdmission(
      {
        client,
        clock,
        random: () => 0.5,
        instanceId: randomUUID(),
        deadlineMs: 5000,
        ...given,
      },
      () => 1e12 + clock.monotonicMs(),
    ),
  );
  const shards = createShards({ namespace, secret, shards: given.shards });
  /** Somebody new whom this shard counts. */
  const subjectOf = (shard: number): string => {
    for (;;) {
      const subject = randomUUID();
      if (shards.indexOf(subject) === shard) return subject;
    }
  };
  const acquire = async (store: number, subject: string): Promise<AdmissionReply> => {
    const reply = await stores[store % processes]?.acquire(subject);
    if (reply === undefined || reply === "unavailable") throw new Error("Redis did not answer");
    return reply;
  };
  /** Time passes, and what came due in it is answered, a few trips long. */
  const pass = async (ms: number): Promise<void> => {
    await clock.advanceAsync(ms);
    for (let trips = 0; trips < 8; trips += 1) {
      await client.ping();
      await setImmediate();
    }
  };
  const close = (): void => {
    for (const store of stores) store.close();
  };
  return { stores, clock, namespace, shards, subjectOf, acquire, pass, close };
}

/** The shard of each of many subjects. */
const spread = (of: string): number[] => {
  const shards = createShards({ namespace: "faq", secret: of, shards: { count } });
  return Array.from({ length: 8000 }, (_, n) => shards.indexOf(`user-${n}`));
};

describe("redisAdmission over shards", () => {
  it("I4 never lets through more than the limits, of a fleet and of each user, whoever asks where, and leaks nothing", async () => {
    await ready;
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          store: fc.nat(3),
          // Few subjects, many, or one alone.
          subject: fc.oneof(fc.nat(3), fc.nat(200)),
          requests: fc.integer({ min: 1, max: 12 }),
        }),
      },
      { weight: 3, arbitrary: fc.record({ release: fc.integer({ min: 1, max: 20 }) }) },
      { weight: 2, arbitrary: fc.record({ passMs: fc.integer({ min: 1, max: 1500 }) }) },
    );
    const limits = fc.record({
      places: fc.integer({ min: count, max: 40 }),
      ofUser: fc.integer({ min: 1, max: 6 }),
      burst: fc.integer({ min: count, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(
        limits,
        fc.array(step, { minLength: 10, maxLength: 40, size: "max" }),
        async (limit, steps) => {
          const fleet = openFleet({
            globalInFlight: { limit: limit.places },
            userInFlight: { limit: limit.ofUser },
            messageRate: { count: 20, perMs: 1000, burst: limit.burst },
          });
          const live: { readonly subject: string; readonly lease: AdmissionLease }[] = [];
          const arrivals: number[] = [];
          try {
            for (const what of steps) {
              if ("passMs" in what) await fleet.pass(what.passMs);
              else if ("release" in what) {
                for (const { lease } of live.splice(0, what.release)) lease.release();
              } else {
                const subject = `u${what.subject}`;
                const replies = await Promise.all(
                  Array.from({ length: what.requests }, (_, index) =>
                    fleet.acquire(what.store + (index % 2), subject),
                  ),
                );
                for (const reply of replies) {
                  if (!reply.admitted) continue;
                  live.push({ subject, lease: reply.lease });
                  arrivals.push(fleet.clock.monotonicMs());
                }
              }
              expect(live.length).toBeLessThanOrEqual(limit.places);
              for (const { subject } of live) {
                const own = live.filter((other) => other.subject === subject);
                expect(own.length).toBeLessThanOrEqual(limit.ofUser);
              }
            }
            for (const [from, startMs] of arrivals.entries()) {
              for (const [to, endMs] of arrivals.entries()) {
                if (to < from) continue;
                const earned = ((endMs - startMs) * 20) / 1000;
                expect(to - from + 1).toBeLessThanOrEqual(limit.burst + earned + 1e-3);
              }
            }
            for (const { lease } of live) lease.release();
            await Promise.all(fleet.stores.map((store) => store.flush()));
            const left = fleet.shards.all.map(({ globalInFlight }) => client.zcard(globalInFlight));
            expect(await Promise.all(left)).toEqual(fleet.shards.all.map(() => 0));
            for (const store of fleet.stores) expect(store.state().dropped).toBe(0);
          } finally {
            fleet.close();
          }
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);

  it("serves the first requests of processes that start at the same time, on whatever shard", async () => {
    await ready;
    const fleet = openFleet(
      { globalInFlight: { limit: 80 }, messageRate: { count: 80, perMs: 1000 } },
      12,
    );
    const replies = await Promise.all(
      Array.from({ length: 24 }, (_, n) => fleet.acquire(n, fleet.subjectOf(n % count))),
    );
    expect(replies.filter(({ admitted }) => admitted)).toHaveLength(24);
    fleet.close();
  });

  it("serves a shard whose data is lost on the next request, and others meanwhile", async () => {
    await ready;
    const fleet = openFleet({ globalInFlight: { limit: 80 } }, 2);
    await fleet.acquire(0, fleet.subjectOf(0));
    for (const lost of [3, 0]) {
      const { shares, globalInFlight, rebalance } = fleet.shards.at(lost);
      await client.del(shares, globalInFlight, rebalance);
      expect(await fleet.acquire(0, fleet.subjectOf(5))).toMatchObject({ admitted: true });
      expect(await fleet.acquire(1, fleet.subjectOf(lost))).toMatchObject({ admitted: true });
    }
    fleet.close();
  });

  it("gives most of the places to a shard that has all the demand, within a few seconds", async () => {
    await ready;
    const limit = 160;
    const fleet = openFleet({ globalInFlight: { limit } });
    let inFlight = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        const reply = await fleet.acquire(inFlight, fleet.subjectOf(6));
        if (!reply.admitted) return;
        inFlight += 1;
      }
    };
    await fill();
    // An equal part, to begin with.
    expect(inFlight).toBe(limit / count);
    for (let second = 0; second < 3; second += 1) {
      await fleet.pass(1000);
      await fill();
    }
    expect(inFlight).toBeGreaterThanOrEqual(limit * 0.8);
    expect(inFlight).toBeLessThanOrEqual(limit);
    // The others are not left without: each has its floor.
    expect(await fleet.acquire(0, fleet.subjectOf(2))).toMatchObject({ admitted: true });
    fleet.close();
  });

  it("gives most of the rate to a shard that has all the demand, and takes it back when that is over", async () => {
    await ready;
    const perSecond = 400;
    const fleet = openFleet({ messageRate: { count: perSecond, perMs: 1000 } });
    const secondOn = async (shard: number): Promise<number> => {
      let admitted = 0;
      for (let ms = 0; ms < 1000; ms += 50) {
        const replies = await Promise.all(
          Array.from({ length: 40 }, (_, n) => fleet.acquire(n, fleet.subjectOf(shard))),
        );
        admitted += replies.filter((reply) => reply.admitted).length;
        await fleet.pass(50);
      }
      return admitted;
    };
    for (const hot of [1, 4]) {
      let served = 0;
      for (let second = 0; second < 5; second += 1) served = await secondOn(hot);
      expect(served).toBeGreaterThanOrEqual(perSecond * 0.8);
      expect(served).toBeLessThanOrEqual(perSecond * 1.05);
    }
    fleet.close();
  });

  it("follows demand without timers too, with the requests that come", async () => {
    await ready;
    const fleet = openFleet(
      { globalInFlight: { limit: 160 }, heartbeat: false, leaseMs: 60_000 },
      2,
    );
    let inFlight = 0;
    for (let second = 0; second < 6; second += 1) {
      for (;;) {
        const reply = await fleet.acquire(inFlight, fleet.subjectOf(6));
        if (!reply.admitted) break;
        inFlight += 1;
      }
      await fleet.pass(1200);
    }
    expect(inFlight).toBeGreaterThanOrEqual(128);
    fleet.close();
  });

  it("counts a user's places and budget on the user's shard, exactly", async () => {
    await ready;
    const fleet = openFleet({ userInFlight: { limit: 3 }, userBudget: { calls: 5 } });
    const budget = { inputTokens: 1, outputTokens: 1, minOutputTokens: 1, price: undefined };
    for (const shard of [0, 5]) {
      const subject = fleet.subjectOf(shard);
      const ask = async (n: number): Promise<AdmissionReply | "unavailable" | undefined> =>
        fleet.stores[n % 4]?.acquire(subject, { budget });
      const replies = await Promise.all(Array.from({ length: 12 }, (_, n) => ask(n)));
      const admitted = replies.flatMap((reply) =>
        reply !== undefined && reply !== "unavailable" && reply.admitted ? [reply] : [],
      );
      expect(admitted).toHaveLength(3);
      for (const { lease } of admitted) lease.release();
      await Promise.all(fleet.stores.map((store) => store.flush()));
      expect(await ask(0)).toMatchObject({ admitted: true });
      expect(await ask(1)).toMatchObject({ admitted: true });
      expect(await ask(2)).toMatchObject({ admitted: false, violated: ["user_budget"] });
    }
    fleet.close();
  });

  it("needs no shares where global limits come from blocks: users' are on their shards all the same", async () => {
    await ready;
    const fleet = openFleet(
      {
        globalBlocks: { processes: 2 },
        globalInFlight: { limit: 100 },
        userInFlight: { limit: 3 },
      },
      2,
    );
    for (const shard of [0, 6]) {
      const subject = fleet.subjectOf(shard);
      const replies = await Promise.all(
        Array.from({ length: 8 }, (_, n) => fleet.acquire(n, subject)),
      );
      expect(replies.filter(({ admitted }) => admitted)).toHaveLength(3);
      expect(await readUserPlaces(client, fleet.shards.at(shard), subject)).toHaveLength(3);
    }
    await fleet.pass(2000);
    const shares = fleet.shards.all.map((keys) => client.exists(keys.shares));
    expect(await Promise.all(shares)).toEqual(fleet.shards.all.map(() => 0));
    fleet.close();
  });

  it("does not let a rate that refused on one shard speak for the others", async () => {
    await ready;
    const fleet = openFleet({ messageRate: { count: 1, perMs: 60_000, burst: 16 } }, 1);
    const one = fleet.subjectOf(2);
    for (let n = 0; n < 2; n += 1) expect((await fleet.acquire(0, one)).admitted).toBe(true);
    for (let n = 0; n < 2; n += 1) expect((await fleet.acquire(0, one)).admitted).toBe(false);
    expect((await fleet.acquire(0, fleet.subjectOf(3))).admitted).toBe(true);
    fleet.close();
  });

  it("tells what is left as what its shard has left", async () => {
    await ready;
    const fleet = openFleet({
      globalInFlight: { limit: 80 },
      messageRate: { count: 40, perMs: 1000, candidate: { count: 16, perMs: 1000 } },
    });
    const reply = await fleet.acquire(0, fleet.subjectOf(1));
    expect(reply.states).toMatchObject([
      { dimension: "global_in_flight", limit: 80, remaining: 9 },
      { dimension: "message_rate", limit: 40, remaining: 4 },
    ]);
    // A candidate is looked at by its own part: two of sixteen.
    const later = [];
    for (let n = 0; n < 2; n += 1) later.push(await fleet.acquire(n, fleet.subjectOf(1)));
    expect(later.map(({ wouldRefuse }) => wouldRefuse)).toEqual([[], ["MESSAGE_RATE"]]);
    fleet.close();
  });

  it("gives every key an end, names nobody and uses one slot a shard", async () => {
    await ready;
    const fleet = openFleet({
      globalInFlight: { limit: 80 },
      userInFlight: { limit: 2 },
      messageRate: { count: 40, perMs: 1000 },
    });
    const random = seededRandom(7);
    for (let n = 0; n < 60; n += 1) await fleet.acquire(n, `sentinel-${random.next()}`);
    await fleet.pass(1000);
    const [, keys] = await client.scan(
      "0",
      "MATCH",
      `{adm:${fleet.namespace}:*`,
      "COUNT",
      1_000_000,
    );
    const tags = new Set<string>();
    for (const key of keys) {
      expect(await client.pttl(key), key).toBeGreaterThan(0);
      expect(key).not.toContain("sentinel");
      tags.add(key.slice(0, key.indexOf("}") + 1));
    }
    expect(tags.size).toBe(count);
    fleet.close();
  });

  it("spreads subjects evenly, the same way in each process, and not as another secret would", () => {
    const places = spread(secret);
    for (let shard = 0; shard < count; shard += 1) {
      const of = places.filter((place) => place === shard).length;
      expect(Math.abs(of - 1000)).toBeLessThan(150);
    }
    expect(spread(secret)).toEqual(places);
    expect(spread("another secret of them")).not.toEqual(places);
  });
});

const common = {
  client,
  clock: new FakeClock(),
  random: () => 0.5,
  instanceId: "a-process",
  namespace: "faq",
  secret,
} as const;

const shaOf = (options: Partial<RedisAdmissionOptions>): string => {
  const settings = parseAdmissionOptions({ ...common, ...options });
  const { leaseMs, reservationMs } = settings;
  const policies = toPolicies(settings);
  return buildAcquireScript({ policies, ask: undefined, leaseMs, reservationMs }).sha;
};

describe("shards", () => {
  it.each([
    [{ globalBudget: { calls: 5 } }, /shards.*shards with globalBudget/],
    [{ globalInFlight: { limit: 7 } }, /globalInFlight\.limit.*7.*at least 8, one for each/],
    [{ messageRate: { count: 7, perMs: 1000 } }, /messageRate\.burst.*7.*at least 8/],
    [{ shards: { count: 1 } }, /shards/],
  ])("are refused at start where limits can't be split: %j", (limits, message) => {
    const open = () => redisAdmission({ ...common, shards: { count }, ...limits });
    expect(open).toThrow(ConfigError);
    expect(open).toThrow(message);
  });

  it("leave a script as it is, to the letter, where nothing is split", () => {
    const own = { userInFlight: { limit: 2 }, userBudget: { tokens: 100 } };
    const all = {
      ...own,
      globalInFlight: { limit: 30, candidate: 20 },
      messageRate: { count: 10, perMs: 1000, candidate: { count: 5, perMs: 1000 } },
    };
    expect(shaOf({ ...own, shards: { count } })).toBe(shaOf(own));
    expect(shaOf({ ...all, shards: { count } })).not.toBe(shaOf(all));
  });
});
