import { setTimeout as sleep } from "node:timers/promises";
import type { LossMode, RedisAdmissionOptions } from "@sluice/redis";
import { faultyProxy, lacksRedisServer, privateRedis } from "@sluice/testkit";
import type { FaultyProxy, PrivateRedis } from "@sluice/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { deadlineMs, isAdmitted, startMember, type Member } from "./redis-member.ts";

/** Until a store asks again, and for its connection to be made anew. */
const backMs = 10_000;
const modes = ["closed", "open", "local"] as const;

const askThrice = ({ store }: Member) =>
  Promise.all([1, 2, 3].map(async () => store.acquire("anna")));
const isBack = (member: Member): Promise<void> =>
  vi.waitFor(
    async () => {
      const reply = await member.store.acquire("back");
      if (isAdmitted(reply)) reply.lease.release();
      expect(member.states.at(-1)).toBe("found");
    },
    { timeout: backMs, interval: 20 },
  );

describe.skipIf(lacksRedisServer())("a Redis that is lost", { timeout: 30_000 }, () => {
  let redis: PrivateRedis;
  let proxy: FaultyProxy;
  const members: Member[] = [];
  beforeAll(async () => {
    redis = await privateRedis();
  });
  afterAll(() => redis.remove());
  beforeEach(async () => {
    proxy = await faultyProxy(redis);
  });
  afterEach(async () => {
    for (const member of members.splice(0)) member.end();
    await proxy.close();
  });
  const start = (options: Partial<RedisAdmissionOptions> = {}): Member => {
    const member = startMember(`redis://127.0.0.1:${proxy.port}`, options);
    members.push(member);
    return member;
  };
  const inFlight = async ({ namespace }: Member): Promise<number> =>
    Number(await redis.cli("zcard", `{adm:${namespace}:0}:in`));
  it.each(modes)("is not waited for beyond the deadline and a fifth, when %s", async (onLoss) => {
    const member = start({ onLoss });
    await member.ready();
    proxy.delayReplies(deadlineMs * 4);
    const began = performance.now();
    const reply = await member.store.acquire("anna");
    // Besides what the machine itself is late.
    expect(performance.now() - began).toBeLessThan(deadlineMs * 1.2 + 30);
    expect(reply === "unavailable" || reply.admitted).toBe(true);
    expect(reply === "unavailable").toBe(onLoss === "closed");
    if (isAdmitted(reply)) reply.lease.release();
    await proxy.restore();
    // What was carried out late is given back.
    await vi.waitFor(async () => expect(await inFlight(member)).toBe(0), { timeout: 5000 });
  });

  it.each(modes)("that stands still is left alone, and comes back, when %s", async (onLoss) => {
    const member = start({ onLoss });
    await member.ready();
    redis.pause();
    try {
      await member.lose();
      const began = performance.now();
      for (let n = 0; n < 100; n += 1) {
        const reply = await member.store.acquire("anna");
        if (isAdmitted(reply)) reply.lease.release();
      }
      // One of them may have looked.
      expect(performance.now() - began).toBeLessThan(deadlineMs * 3);
    } finally {
      redis.resume();
    }
    await isBack(member);
    expect(member.states).toEqual(["lost", "found"]);
    await vi.waitFor(async () => expect(await inFlight(member)).toBe(0), { timeout: 5000 });
  });

  it("may be away at the start", async () => {
    await proxy.cut();
    const member = start();
    await member.lose();
    await proxy.restore();
    await isBack(member);
    expect(member.states).toEqual(["lost", "found"]);
  });

  it("that restarts empty hears of what is in flight before it counts", async () => {
    const member = start({ globalInFlight: { limit: 5 } });
    await member.ready();
    for (let n = 0; n < 5; n += 1) expect(isAdmitted(await member.store.acquire("a"))).toBe(true);
    await redis.cli("set", "kept", "yes");
    await redis.kill9();
    await redis.start();
    expect(await redis.cli("exists", "kept")).toBe("0");
    await vi.waitFor(
      async () => {
        const reply = await member.store.acquire("anna");
        expect(isAdmitted(reply)).toBe(false);
        expect(reply).not.toBe("unavailable");
      },
      { timeout: backMs, interval: 20 },
    );
    expect(await inFlight(member)).toBe(5);
  });

  it("that resets before its reply is not charged", async () => {
    const day = { globalBudget: { calls: 100, tokens: 1000 }, timeZone: "UTC" };
    const member = start(day);
    await member.ready();
    const budget = { inputTokens: 10, outputTokens: 10, minOutputTokens: 1, price: undefined };
    proxy.resetBeforeReply();
    expect(await member.store.acquire("anna", { budget })).toBe("unavailable");
    await member.ready();
    await member.store.flush();
    expect(await inFlight(member)).toBe(0);
    const reply = await member.store.acquire("anna", { budget });
    expect(isAdmitted(reply)).toBe(true);
    const [key = ""] = (await redis.cli("keys", `*${member.namespace}*:day:*`)).split("\n");
    expect(await redis.cli("hmget", key, "c", "t")).toBe("1\n20");
  });

  it("tells what a limit would have refused, when open", async () => {
    const member = start({ onLoss: "open", globalInFlight: { limit: 1 } });
    await proxy.cut();
    await member.lose();
    expect(await member.store.acquire("anna")).toMatchObject({ admitted: true, wouldRefuse: [] });
    expect(await member.store.acquire("anna")).toMatchObject({
      admitted: true,
      wouldRefuse: ["GLOBAL_IN_FLIGHT"],
    });
  });

  it("leaves this process its share, of which nothing is reset, when local", async () => {
    const shared = { onLoss: "local", globalInFlight: { limit: 10 }, leaseMs: 300 } as const;
    const member = start(shared);
    const other = start({ ...shared, namespace: member.namespace });
    await Promise.all([member.ready(), other.ready()]);
    // Long enough for each to hear of the other.
    await vi.waitFor(async () => {
      await member.store.flush();
      const known = await redis.cli("zcard", `{adm:${member.namespace}:0}:processes`);
      expect(known).toBe("2");
    });
    await sleep(250);
    const before = await askThrice(member);
    expect(before.every(isAdmitted)).toBe(true);
    await proxy.cut();
    await member.lose();
    for (const reply of before) if (isAdmitted(reply)) reply.lease.renew();
    const after = await askThrice(member);
    expect(after.filter(isAdmitted)).toHaveLength(2);
  });

  it("counts as the switch says at the time", async () => {
    let mode: LossMode = "closed";
    const member = start({ onLoss: () => mode });
    await proxy.cut();
    await member.lose();
    expect(await member.store.acquire("anna")).toBe("unavailable");
    mode = "open";
    expect(await member.store.acquire("anna")).toMatchObject({ admitted: true });
    mode = "elsewhere" as LossMode;
    expect(await member.store.acquire("anna")).toBe("unavailable");
  });

  it("costs bounded memory, however long it lasts", async () => {
    const member = start({ onLoss: "open", maxLeases: 200 });
    await proxy.cut();
    await member.lose();
    for (let n = 0; n < 120_000; n += 1) {
      const reply = await member.store.acquire(`user-${n}`);
      if (isAdmitted(reply)) reply.lease.release();
    }
    const { pending, dropped, leases } = member.store.state();
    expect(leases).toBe(0);
    expect(pending).toBeLessThanOrEqual(100_000);
    expect(dropped).toBeGreaterThan(0);
    // Held, too, up to what is kept.
    for (let n = 0; n < 500; n += 1) await member.store.acquire(`user-${n}`);
    expect(member.store.state().leases).toBeLessThanOrEqual(200);
  });
});
