import { randomUUID } from "node:crypto";
import type { AdmissionAsk, AdmissionLease, AdmissionReply, Reason } from "@sluice/contract";
import { array, assert, asyncProperty, constant, integer, nat, oneof, record } from "fast-check";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { startFleet } from "./fleet-for-tests.ts";
import { createKeys } from "./keys.ts";
import { connectRedis } from "./redis-client.ts";
import { readUserBudget } from "./user-budget-for-tests.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
client.setMaxListeners(0);
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const leaseMs = 3000;
const hopMs = 250;
const budget = { inputTokens: 10, outputTokens: 10, minOutputTokens: 10, price: undefined };

async function start(options: Partial<RedisAdmissionOptions>) {
  await ready;
  return startFleet({
    client,
    hopMs,
    newClock: () => new FakeClock(),
    newId: randomUUID,
    options: { leaseMs, globalBlocks: { processes: 2 }, ...options },
  });
}

const isAdmitted = (
  reply: AdmissionReply | "unavailable" | undefined,
): reply is Extract<AdmissionReply, { admitted: true }> =>
  typeof reply === "object" && reply.admitted;

describe("global limits in blocks beside what is counted for each subject", () => {
  it.each([
    ["places of a user", { userInFlight: { limit: 50 } }, undefined],
    ["a user's budget", { userBudget: { tokens: 1e9 } }, { budget }],
    ["a budget of all", { globalBudget: { tokens: 1e9 } }, { budget }],
    [
      "all of them",
      { userInFlight: { limit: 50 }, userBudget: { calls: 1e9 }, globalBudget: { calls: 1e9 } },
      { budget },
    ],
  ] as const)("take exactly one trip with %s, and none without", async (_, own, ask) => {
    const globals = { globalInFlight: { limit: 4000 }, messageRate: { count: 4000, perMs: 1000 } };
    for (const limits of [own, {}]) {
      const fleet = await start({ ...globals, ...limits });
      const member = fleet.join();
      const release = async (): Promise<void> => {
        const reply = await member.store.acquire("anna", ask);
        if (!isAdmitted(reply)) throw new Error("it was not admitted");
        reply.reservation?.void();
        reply.lease.release();
        await member.store.flush();
      };
      await release();
      await fleet.settle();
      const before = member.trips;
      const reply = member.store.acquire("anna", ask);
      expect(await reply).toMatchObject({ admitted: true });
      expect(member.trips - before).toBe(limits === own ? 1 : 0);
      expect(reply instanceof Promise).toBe(limits === own);
      member.store.close();
    }
  });

  it("have back what a refused request took of them, messages too", async () => {
    const limit = 80;
    const fleet = await start({
      userInFlight: { limit: 1 },
      globalInFlight: { limit },
      messageRate: { count: limit, perMs: 86_400_000 },
    });
    const { store } = fleet.join();
    const first = await store.acquire("anna");
    expect(first).toMatchObject({ admitted: true });
    for (let n = 0; n < 5; n += 1) {
      const replies = await Promise.all(
        Array.from({ length: 50 }, async () => store.acquire("anna")),
      );
      for (const reply of replies) {
        expect(reply).toMatchObject({
          admitted: false,
          reason: "USER_IN_FLIGHT",
          violated: ["user_in_flight"],
          states: [{ dimension: "user_in_flight", limit: 1, remaining: 0 }],
        });
      }
      await fleet.settle();
    }
    let admitted = 1;
    while (isAdmitted(await store.acquire(`user-${admitted}`))) {
      admitted += 1;
      await fleet.settle();
    }
    // Of the burst a block for each process lies idle; a block is 2.
    expect(admitted).toBe(limit - 2 * 2);
    store.close();
  });

  it("are not asked for what is refused for them: the subject pays nothing", async () => {
    const fleet = await start({ userBudget: { calls: 100 }, globalInFlight: { limit: 40 } });
    const { store } = fleet.join();
    const replies = await Promise.all(
      Array.from({ length: 60 }, async () => store.acquire("anna", { budget })),
    );
    expect(replies.filter(isAdmitted)).toHaveLength(40);
    for (const reply of replies.filter((one) => !isAdmitted(one))) {
      expect(reply).toMatchObject({ reason: "GLOBAL_IN_FLIGHT", violated: ["global_in_flight"] });
    }
    const keys = createKeys(fleet.namespace, "a secret of the tests");
    expect(await readUserBudget(client, keys, "anna", "2026-01-01")).toMatchObject({ calls: 40 });
    store.close();
  });

  it("tell what shadows of either would have refused", async () => {
    const shadow = { limit: 20, mode: "shadow" } as const;
    const fleet = await start({
      globalBlocks: { processes: 1 },
      userInFlight: { limit: 1, mode: "shadow" },
      globalInFlight: shadow,
    });
    const { store } = fleet.join();
    for (let n = 0; n < 20; n += 1) await store.acquire(`user-${n}`);
    expect(await store.acquire("user-0")).toMatchObject({
      admitted: true,
      wouldRefuse: ["USER_IN_FLIGHT", "GLOBAL_IN_FLIGHT"],
    });
    const enforce: AdmissionAsk = { modes: { user_in_flight: "enforce" } };
    expect(await store.acquire("user-0", enforce)).toMatchObject({
      admitted: false,
      reason: "USER_IN_FLIGHT",
      wouldRefuse: ["GLOBAL_IN_FLIGHT"],
    });
    store.close();
  });

  it("have back what was taken for a request that Redis answered too late", async () => {
    const limit = 40;
    const fleet = await start({ userInFlight: { limit: 100 }, globalInFlight: { limit } });
    const one = fleet.join();
    const first = await one.store.acquire("anna");
    if (!isAdmitted(first)) throw new Error("it was not admitted");
    first.lease.release();
    await fleet.settle();
    one.hold("answers");
    const late = one.store.acquire("anna");
    await fleet.pass(1750);
    expect(await late).toBe("unavailable");
    one.open();
    await fleet.settle();
    await one.store.flush();
    const replies = await Promise.all(
      Array.from({ length: limit }, async () => one.store.acquire("anna")),
    );
    expect(replies.filter(isAdmitted)).toHaveLength(limit);
    one.store.close();
  });

  it("are as onLoss says while Redis is lost, and the block loses nothing by it", async () => {
    const limit = 40;
    const fleet = await start({
      userInFlight: { limit: 100 },
      globalInFlight: { limit },
      onLoss: () => (isOpen ? "open" : "closed"),
    });
    let isOpen = false;
    const one = fleet.join();
    await one.store.acquire("anna");
    one.hold("commands");
    for (let n = 0; n < 3; n += 1) {
      const late = one.store.acquire("anna");
      await fleet.pass(1500);
      expect(await late).toBe("unavailable");
    }
    for (let n = 0; n < 100; n += 1) expect(await one.store.acquire("anna")).toBe("unavailable");
    isOpen = true;
    for (let n = 0; n < 100; n += 1) {
      const reply = await one.store.acquire("anna");
      if (!isAdmitted(reply)) throw new Error("it was not admitted");
      reply.lease.release();
    }
    isOpen = false;
    one.open();
    await fleet.pass(12_000);
    // What looks first finds Redis again.
    expect(isAdmitted(await one.store.acquire("anna"))).toBe(true);
    await fleet.settle();
    const replies = await Promise.all(
      Array.from({ length: limit }, async () => one.store.acquire("anna")),
    );
    expect(replies.filter(isAdmitted)).toHaveLength(limit - 1);
    one.store.close();
  });

  it("admit nobody whose process stood still for so long that the place may be another's", async () => {
    const fleet = await start({ userInFlight: { limit: 100 }, globalInFlight: { limit: 40 } });
    const [one, two] = [fleet.join(), fleet.join()];
    const first = await one.store.acquire("anna");
    if (!isAdmitted(first)) throw new Error("it was not admitted");
    first.lease.release();
    await fleet.settle();
    const pending = one.store.acquire("anna");
    one.freeze();
    await fleet.pass(leaseMs);
    const replies = await Promise.all(
      Array.from({ length: 60 }, async (_, n) => two.store.acquire(`user-${n}`)),
    );
    expect(replies.filter(isAdmitted)).toHaveLength(40);
    one.thaw();
    expect(await pending).toBe("unavailable");
    for (const { store } of [one, two]) store.close();
  });

  it("have no candidate, and something to be cut from", async () => {
    const fleet = await start({});
    const all = { limit: 400 };
    const rate = { count: 400, perMs: 1000 };
    expect(() => fleet.join({ globalInFlight: { ...all, candidate: 9 } })).toThrow(
      /^redisAdmission\.globalInFlight\.candidate[^\n]*$/,
    );
    expect(() => fleet.join({ messageRate: { ...rate, candidate: rate } })).toThrow(
      /^redisAdmission\.messageRate\.candidate[^\n]*$/,
    );
    expect(() => fleet.join({ userInFlight: { limit: 2 } })).toThrow(
      /^redisAdmission\.globalBlocks[^\n]*neither globalInFlight nor messageRate[^\n]*$/,
    );
    fleet.join({ globalInFlight: all, userInFlight: { limit: 2, candidate: 1 } }).store.close();
  });

  it("I3 I14 neither limit is ever exceeded, and what is refused consumes nothing", async () => {
    const size = 3;
    const limit = 60;
    const perUser = 2;
    const burst = 120;
    const block = 2;
    const some = {
      who: nat(size - 1),
      count: integer({ min: 1, max: 40 }),
      users: integer({ min: 1, max: 12 }),
    };
    const step = oneof(
      { weight: 5, arbitrary: record({ do: constant("acquire"), ...some }) },
      { weight: 4, arbitrary: record({ do: constant("release"), ...some }) },
      { weight: 1, arbitrary: record({ do: constant("crash"), ...some }) },
    );
    let refusedByUser = 0;
    await assert(
      asyncProperty(array(step, { minLength: 4, maxLength: 20 }), async (steps) => {
        const fleet = await start({
          userInFlight: { limit: perUser },
          globalInFlight: { limit },
          // Of which nothing comes back meanwhile.
          messageRate: { count: burst, perMs: 86_400_000 },
          globalBlocks: { processes: size },
        });
        const newSeat = () => ({ member: fleet.join(), live: new Map<AdmissionLease, string>() });
        const seats = Array.from({ length: size }, newSeat);
        let messages = 0;
        let crashed = 0;
        let lost = 0;
        const check = (): void => {
          const users = new Map<string, number>();
          let sum = 0;
          for (const { live } of seats) {
            sum += live.size;
            for (const user of live.values()) users.set(user, (users.get(user) ?? 0) + 1);
          }
          expect(sum).toBeLessThanOrEqual(limit);
          expect(Math.max(0, ...users.values())).toBeLessThanOrEqual(perUser);
          expect(messages).toBeLessThanOrEqual(burst);
        };
        const ask = async (seat: (typeof seats)[number], user: string) => {
          const reply = await seat.member.store.acquire(user);
          if (reply === "unavailable") throw new Error("Redis did not answer");
          if (!reply.admitted) return reply.reason;
          seat.live.set(reply.lease, user);
          messages += 1;
          return undefined;
        };
        for (const { do: what, who, count, users } of steps) {
          const seat = seats[who];
          if (seat === undefined) continue;
          if (what === "acquire") {
            const asked = Array.from({ length: count }, (_, n) => ask(seat, `user-${n % users}`));
            const reasons = await Promise.all(asked);
            refusedByUser += reasons.filter((reason) => reason === "USER_IN_FLIGHT").length;
          } else if (what === "release") {
            for (const lease of [...seat.live.keys()].slice(0, count)) {
              lease.release();
              seat.live.delete(lease);
            }
          } else if (crashed < 1) {
            crashed += 1;
            lost = block;
            seat.member.crash();
            seat.live.clear();
            await fleet.pass(leaseMs);
            // Requests are not renewed here: those of others are over as well.
            for (const one of seats) one.live.clear();
            seats[who] = newSeat();
          }
          check();
          await fleet.settle();
        }
        // Whatever was refused, all but blocks is there for those who are let in.
        for (const { live } of seats) {
          for (const lease of live.keys()) lease.release();
          live.clear();
        }
        await fleet.settle();
        const [seat] = seats;
        if (seat === undefined) throw new Error("there is no process");
        let last = 0;
        let reason: Reason | undefined;
        while (reason === undefined) {
          reason = await ask(seat, `last-${last}`);
          last += 1;
          await fleet.settle();
        }
        const isAllUsed =
          reason === "MESSAGE_RATE"
            ? burst - messages <= 2 * block * size + lost
            : last - 1 >= limit - block * size;
        expect(isAllUsed).toBe(true);
        check();
        for (const { member } of seats) member.store.close();
      }),
      { numRuns: 100 },
    );
    expect(refusedByUser).toBeGreaterThan(1000);
  }, 120_000);
});
