import { randomUUID } from "node:crypto";
import type { AdmissionReply } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { createKeys, type Keys } from "./keys.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";
import { readUserBudget } from "./user-budget-for-tests.ts";
import { readUserPlaces } from "./user-places-for-tests.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const secret = "a secret of the tests";
const day = "2026-01-01";
const budget = { inputTokens: 10, outputTokens: 10, minOutputTokens: 1, price: undefined };
const caps = { calls: 1000, tokens: 1_000_000 };
const limits = {
  userInFlight: { limit: 100, candidate: 50 },
  globalInFlight: { limit: 1000, candidate: 500 },
  messageRate: { count: 1000, perMs: 1000, candidate: { count: 500, perMs: 1000 } },
  userBudget: caps,
  globalBudget: caps,
} as const;

async function open(options: Partial<RedisAdmissionOptions>) {
  await ready;
  const clock = new FakeClock();
  const namespace = options.namespace ?? `t${randomUUID()}`;
  const states: string[] = [];
  const store = redisAdmission(
    {
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret,
      deadlineMs: 5000,
      onState: (state) => states.push(state),
      ...options,
    },
    () => 1e12 + clock.monotonicMs(),
  );
  return { store, clock, states, keys: createKeys(namespace, secret) };
}

const verdictOf = (reply: AdmissionReply | "unavailable"): string => {
  if (reply === "unavailable") return reply;
  return reply.admitted ? "admitted" : reply.reason;
};

/** Of another kind than any key of a store where it stands. */
const leaveBehind = async (key: string): Promise<void> => {
  await client.xadd(key, "*", "left", "behind");
  await client.expire(key, 60);
};

const common: Readonly<Record<string, (keys: Keys) => string>> = {
  "places of users": (keys) => keys.usersInFlight,
  "the candidate for places of users": (keys) => `${keys.usersInFlight}:candidate`,
  "places of all": (keys) => keys.globalInFlight,
  "the candidate for places of all": (keys) => `${keys.globalInFlight}:candidate`,
  "the rate": (keys) => keys.messageRate,
  "the candidate for the rate": (keys) => `${keys.messageRate}:candidate`,
  "the day of budgets": (keys) => keys.budgets(day),
  "the budgets of users": (keys) => keys.userBudgets(day),
};

describe("a key of another type", () => {
  it.each(Object.entries(common))("in place of %s hits those who name it", async (_, keyOf) => {
    const { store, keys, states } = await open({ ...limits, onLoss: "local" });
    const closed = await open({ ...limits, toolRate: { count: 9, perMs: 1000 } });
    for (const one of [keys, closed.keys]) await leaveBehind(keyOf(one));
    for (let n = 0; n < 5; n += 1) {
      expect(verdictOf(await closed.store.acquire("ann", { budget }))).toBe("unavailable");
      expect(verdictOf(await store.acquire("ann", { budget }))).toBe("admitted");
      expect(await closed.store.takeTool("ann")).toEqual({ allowed: true });
    }
    const isBudget = keyOf(closed.keys).includes(day);
    expect(verdictOf(await closed.store.acquire("ann"))).toBe(
      isBudget ? "admitted" : "unavailable",
    );
    expect([...states, ...closed.states]).toEqual([]);
    expect(await readUserBudget(client, closed.keys, "ann", day).catch(() => undefined)).toBe(
      undefined,
    );
    await client.del(keyOf(closed.keys));
    expect(verdictOf(await closed.store.acquire("ann", { budget }))).toBe("admitted");
    store.close();
    closed.store.close();
  });

  it("in place of what a shadow keeps for itself hits nobody", async () => {
    const shadow = { limit: 1, mode: "shadow" } as const;
    const { store, keys } = await open({ userInFlight: shadow, globalInFlight: shadow });
    for (const turn of [0, -1]) {
      await leaveBehind(`${keys.globalInFlight}:would:${Math.floor(1e12 / 30_000) + turn}`);
    }
    expect(await store.acquire("ann")).toMatchObject({ admitted: true, wouldRefuse: [] });
    const second = await store.acquire("ann");
    expect(second).toMatchObject({
      admitted: true,
      wouldRefuse: ["USER_IN_FLIGHT", "GLOBAL_IN_FLIGHT"],
    });
    if (second !== "unavailable" && second.admitted) second.lease.release();
    await store.flush();
    store.close();
  });

  it("in place of the rate of tools hits tool calls", async () => {
    const { store, keys, states } = await open({ toolRate: { count: 9, perMs: 1000 } });
    await leaveBehind(keys.toolRate);
    for (let n = 0; n < 5; n += 1) expect(await store.takeTool("ann")).toBe("unavailable");
    expect(verdictOf(await store.acquire("ann"))).toBe("admitted");
    expect(states).toEqual([]);
    store.close();
  });

  it("in place of what processes hold in blocks hits requests, and no tool calls", async () => {
    const namespace = `t${randomUUID()}`;
    await ready;
    // A process holds a block from its start.
    await leaveBehind(createKeys(namespace, secret).blocks);
    const { store, keys, states } = await open({
      namespace,
      globalInFlight: { limit: 1000 },
      globalBlocks: { processes: 2 },
      toolRate: { count: 9, perMs: 1000 },
    });
    for (let n = 0; n < 5; n += 1) {
      expect(verdictOf(await store.acquire("ann"))).toBe("unavailable");
    }
    expect(await store.takeTool("ann")).toEqual({ allowed: true });
    expect(states).toEqual([]);
    await client.del(keys.blocks);
    expect(verdictOf(await store.acquire("ann"))).toBe("admitted");
    store.close();
  });

  it("keeps nothing of others from being given back, settled or told", async () => {
    const { store, keys, clock } = await open({ ...limits, leaseMs: 30_000 });
    const replies = await Promise.all(
      ["ann", "ben"].map(async (subject) => store.acquire(subject, { budget })),
    );
    const admitted = replies.filter((reply) => reply !== "unavailable" && reply.admitted);
    const taken = admitted.map(({ lease }) => lease);
    const reservations = admitted.map(({ reservation }) => reservation);
    await store.flush();
    for (const key of [`${keys.usersInFlight}:candidate`, keys.processes]) {
      await client.del(key);
      await leaveBehind(key);
    }
    const before = store.state().dropped;
    await clock.advanceAsync(5000);
    for (const lease of taken) lease.renew();
    // A beat for each, and one of this process among the others.
    await clock.advanceAsync(6000);
    await store.flush();
    expect(store.state().dropped).toBe(before + 3);
    const [, expiry] = await client.zrange(keys.globalInFlight, "0", "-1", "WITHSCORES");
    const [place] = await readUserPlaces(client, keys, "ann");
    expect([Number(expiry), place?.expiresMs]).toEqual(Array(2).fill(1e12 + 5000 + 30_000));
    for (const reservation of reservations) {
      reservation?.settle({ inputTokens: 3, outputTokens: 4 });
    }
    for (const lease of taken) lease.release();
    await store.flush();
    expect(await client.exists(keys.globalInFlight)).toBe(0);
    expect(await readUserPlaces(client, keys, "ann")).toEqual([]);
    expect(await readUserBudget(client, keys, "ann", day)).toMatchObject({ calls: 1, tokens: 7 });
    expect(await client.hmget(keys.budgets(day), "c", "t")).toEqual(["2", "14"]);
    expect(store.state().pending).toBe(0);
    store.close();
  });
});
