import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { describeAdmissionStore, FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const url = "redis://127.0.0.1:6379";
const client = connectRedis({ url, random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const given = (clock: FakeClock): RedisAdmissionOptions => ({
  client,
  clock,
  random: () => 0.5,
  instanceId: randomUUID(),
  // As long as one may be.
  namespace: `t${randomUUID()}-${randomUUID()}`.slice(0, 63),
  secret: "a secret of the tests",
  deadlineMs: 5000,
});

describeAdmissionStore("redisAdmission().apart()", async (options, clock) => {
  await ready;
  const store = redisAdmission(
    { ...given(new FakeClock()), ...options, clock },
    () => 1e12 + clock.monotonicMs(),
  );
  const apart = store.apart();
  store.close();
  return { store: apart, settled: () => apart.flush() };
});

const one = { limit: 1 };
const rate = { count: 1, perMs: 60_000 };
const caps = { calls: 1 };
const budget = { inputTokens: 1, outputTokens: 1, minOutputTokens: 1, price: undefined };

describe("a store apart", () => {
  it.each([
    ["places of all", { globalInFlight: one }],
    ["places of a user", { userInFlight: one }],
    ["a rate of messages", { messageRate: rate }],
    ["a user's budget", { userBudget: caps }],
    ["a budget of all", { globalBudget: caps }],
    ["places in blocks", { globalInFlight: { limit: 20 }, globalBlocks: { processes: 1 } }],
  ] satisfies [string, Partial<RedisAdmissionOptions>][])(
    "has the same limits and counts by itself: %s",
    async (_, limits) => {
      await ready;
      const store = redisAdmission({ ...given(new FakeClock()), ...limits });
      const apart = store.apart();
      onTestFinished(() => [store, apart].forEach((each) => each.close()));
      const fill = async (which: typeof store): Promise<number> => {
        for (let admitted = 0; ; admitted += 1) {
          const reply = await which.acquire("ann", { budget });
          if (reply === "unavailable") throw new Error("unavailable");
          if (!reply.admitted) return admitted;
        }
      };
      const limit = "globalBlocks" in limits ? 20 : 1;
      expect(await fill(store)).toBe(limit);
      expect(await fill(apart)).toBe(limit);
      expect(apart.describe()).toEqual(store.describe());
      expect(apart.state().leases).toBe(store.state().leases);
    },
  );

  it("has the same rate of tools, and counts it by itself", async () => {
    await ready;
    const store = redisAdmission({ ...given(new FakeClock()), toolRate: rate });
    const apart = store.apart();
    for (const which of [store, apart]) {
      expect(await which.takeTool("ann")).toEqual({ allowed: true });
      expect(await which.takeTool("ann")).toMatchObject({ allowed: false });
      which.close();
    }
  });

  it("ends alone: the store and its client go on, and what was in flight there is given back", async () => {
    await ready;
    const store = redisAdmission({ ...given(new FakeClock()), globalInFlight: one });
    const apart = store.apart();
    const reply = await apart.acquire("ann");
    if (reply === "unavailable" || !reply.admitted) throw new Error("not admitted");
    reply.lease.release();
    await apart.flush();
    apart.close();
    expect(client.status).toBe("ready");
    expect(await store.acquire("ann")).toMatchObject({ admitted: true });
    const next = store.apart();
    expect(await next.acquire("ann")).toMatchObject({ admitted: true });
    for (const which of [store, next]) which.close();
  });

  it("is as `onLoss` says when Redis is lost, and leaves it to the store to tell of it", async () => {
    const own = connectRedis({ url, random: () => 0.5 });
    await once(own, "ready");
    const states: string[] = [];
    const store = redisAdmission({
      ...given(new FakeClock()),
      client: own,
      globalInFlight: one,
      toolRate: rate,
      onLoss: "open",
      onState: (state) => states.push(state),
    });
    const apart = store.apart();
    onTestFinished(() => [store, apart].forEach((each) => each.close()));
    own.disconnect();
    for (let asked = 0; asked < 5; asked += 1) {
      expect(await apart.acquire("ann")).toMatchObject({ admitted: true });
      expect(await apart.takeTool("ann")).toEqual({ allowed: true });
    }
    expect(states).toEqual([]);
    for (let asked = 0; asked < 5; asked += 1) await store.acquire("ann");
    expect(states).toEqual(["lost"]);
  });
});
