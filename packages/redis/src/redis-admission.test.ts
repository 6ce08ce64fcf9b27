import { randomUUID } from "node:crypto";
import { describeAdmissionStore, FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

describeAdmissionStore("redisAdmission", async (options, clock) => {
  await ready;
  const store = redisAdmission(
    {
      ...options,
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace: `t${randomUUID()}`,
      secret: "a secret of the tests",
      deadlineMs: 5000,
    },
    () => 1e12 + clock.monotonicMs(),
  );
  return { store, settled: () => store.flush() };
});

interface Opened {
  readonly store: ReturnType<typeof redisAdmission>;
  readonly clock: FakeClock;
  readonly namespace: string;
}

async function open(options: Partial<RedisAdmissionOptions>): Promise<Opened> {
  await ready;
  const clock = new FakeClock();
  const namespace = `t${randomUUID()}`;
  const store = redisAdmission(
    {
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret: "a secret of the tests",
      deadlineMs: 5000,
      ...options,
    },
    () => 1e12 + clock.monotonicMs(),
  );
  return { store, clock, namespace };
}

describe("redisAdmission", () => {
  it("I3 lets at most 12 of 200 concurrent calls of 16 tokens run on a budget of 200", async () => {
    const { store } = await open({ globalBudget: { tokens: 200 } });
    const budget = { inputTokens: 0, outputTokens: 16, minOutputTokens: 16, price: undefined };
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, i) => Promise.resolve(store.acquire(`u${i}`, { budget }))),
    );
    const admitted = replies.filter((reply) => reply !== "unavailable" && reply.admitted);
    expect(admitted).toHaveLength(12);
    store.close();
  });

  it("gives every key an end, also a set that was emptied of what had expired, names nobody and stays in one slot", async () => {
    const { store, clock, namespace } = await open({
      leaseMs: 1000,
      heartbeat: false,
      globalInFlight: { limit: 1 },
      userInFlight: { limit: 1 },
      messageRate: { count: 100, perMs: 1000 },
      userBudget: { calls: 100 },
      globalBudget: { calls: 100 },
    });
    const budget = { inputTokens: 1, outputTokens: 1, minOutputTokens: 1, price: undefined };
    for (let i = 0; i < 8; i += 1) {
      const reply = await store.acquire("sentinel-subject", { budget });
      expect(reply).toMatchObject({ admitted: true });
      // The refused one tidies, so that the next, just after, does not: it empties the set itself.
      await clock.advanceAsync(900);
      expect(await store.acquire("sentinel-subject", { budget })).toMatchObject({
        admitted: false,
      });
      await clock.advanceAsync(101);
    }
    const [, keys] = await client.scan("0", "MATCH", `{adm:${namespace}:0}*`, "COUNT", 1_000_000);
    expect(keys.length).toBeGreaterThan(3);
    const tags = new Set<string>();
    for (const key of keys) {
      expect(await client.pttl(key), key).toBeGreaterThan(0);
      expect(key).not.toContain("sentinel-subject");
      tags.add(key.slice(0, key.indexOf("}") + 1));
    }
    // Redis Cluster hashes the tag alone: one tag, one slot.
    expect([...tags]).toEqual([`{adm:${namespace}:0}`]);
    store.close();
  });

  it("tells the whole wait of a rate also where it answers from memory", async () => {
    const { store, clock } = await open({ messageRate: { count: 1, perMs: 60_000, burst: 1 } });
    await store.acquire("ann");
    expect(await store.acquire("ann")).toMatchObject({ retryAfterMs: 60_000 });
    await clock.advanceAsync(500);
    expect(await store.acquire("ann")).toMatchObject({ retryAfterMs: 59_500 });
    store.close();
  });

  it("does not let one request's modes speak for others: a rate that is off refuses nobody", async () => {
    const { store } = await open({ messageRate: { count: 1, perMs: 60_000, mode: "off" } });
    const modes = { message_rate: "enforce" } as const;
    // While it is off it takes nothing either.
    expect(await store.acquire("ann")).toMatchObject({ admitted: true });
    expect(await store.acquire("ann", { modes })).toMatchObject({ admitted: true });
    expect(await store.acquire("ann", { modes })).toMatchObject({ admitted: false });
    expect(await store.acquire("ann")).toMatchObject({ admitted: true });
    store.close();
  });

  it("tells Redis in each beat of what lives, so that a lost set is whole again", async () => {
    const { store, clock, namespace } = await open({ leaseMs: 3000, globalInFlight: { limit: 1 } });
    await store.acquire("ann");
    await client.del(`{adm:${namespace}:0}:in`);
    await clock.advanceAsync(1100);
    await store.flush();
    expect(await store.acquire("ben")).toMatchObject({ admitted: false });
    store.close();
  });
});
