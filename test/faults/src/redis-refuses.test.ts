import { lacksRedisServer, privateRedis, type PrivateRedis } from "@sluice/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { isAdmitted, startMember, type Member } from "./redis-member.ts";

describe.skipIf(lacksRedisServer())("a Redis that refuses", { timeout: 30_000 }, () => {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });
  const open = async (
    settings: Readonly<Record<string, string | number>> = {},
  ): Promise<PrivateRedis> => {
    const redis = await privateRedis({ settings });
    ends.push(() => redis.remove());
    return redis;
  };
  const startOn = (
    redis: PrivateRedis,
    options: Parameters<typeof startMember>[1] = {},
  ): Member => {
    const member = startMember(redis.url, options);
    ends.push(() => member.end());
    return member;
  };
  const expectLossInEachMode = async (redis: PrivateRedis): Promise<void> => {
    for (const onLoss of ["closed", "open", "local"] as const) {
      const member = startOn(redis, { onLoss });
      for (let n = 0; n < 5; n += 1) {
        const reply = await member.store.acquire("anna");
        expect(isAdmitted(reply) ? "admitted" : reply).toBe(
          onLoss === "closed" ? "unavailable" : "admitted",
        );
      }
      expect(member.states).toEqual(["lost"]);
    }
  };

  it("as a replica (READONLY) is lost", async () => {
    const redis = await open();
    await redis.cli("replicaof", "127.0.0.1", "1");
    await expectLossInEachMode(redis);
  });

  it("as its memory is full (OOM) is lost", async () => {
    const redis = await open({ maxmemory: 1, "maxmemory-policy": "noeviction" });
    await expectLossInEachMode(redis);
  });

  it("as it has no slots (CLUSTERDOWN) is lost", async () => {
    await expectLossInEachMode(await open({ "cluster-enabled": "yes" }));
  });

  it("as it wants a password (NOAUTH) is lost", async () => {
    await expectLossInEachMode(await open({ requirepass: "secret" }));
  });

  it("as a script of somebody runs (BUSY) is lost, and found after it", async () => {
    const redis = await open({ "busy-reply-threshold": 10 });
    const member = startOn(redis);
    await member.ready();
    const script = redis.cli("eval", "while true do redis.call('ping') end", "0").catch(() => "");
    await vi.waitFor(async () => expect(await redis.cli("ping")).toContain("BUSY"));
    await member.lose();
    expect(await member.store.acquire("anna")).toBe("unavailable");
    await redis.cli("script", "kill");
    await script;
    await vi.waitFor(async () => expect(isAdmitted(await member.store.acquire("a"))).toBe(true), {
      timeout: 10_000,
    });
    expect(member.states).toEqual(["lost", "found"]);
  });

  it.each([
    ["in", { globalInFlight: { limit: 5 } }],
    ["msg", { messageRate: { count: 5, perMs: 1000 } }],
    ["tool", { toolRate: { count: 5, perMs: 1000 } }],
  ] as const)("a key of another kind at %s, once deleted, is over", async (name, limits) => {
    const redis = await open();
    const member = startOn(redis, limits);
    await member.ready();
    const key = `{adm:${member.namespace}:0}:${name}`;
    await redis.cli("hset", key, "left", "behind");
    const ask = () =>
      name === "tool" ? member.store.takeTool("anna") : member.store.acquire("anna");
    expect(await ask()).toBe("unavailable");
    await redis.cli("del", key);
    expect(await ask()).not.toBe("unavailable");
  });

  it("takes a subject of 10 kB as any other", async () => {
    const redis = await open();
    const member = startOn(redis, { userInFlight: { limit: 1 } });
    await member.ready();
    const subject = "x".repeat(10_240);
    expect(isAdmitted(await member.store.acquire(subject))).toBe(true);
    expect(await member.store.acquire(subject)).toMatchObject({ reason: "USER_IN_FLIGHT" });
    expect(isAdmitted(await member.store.acquire(`${subject}y`))).toBe(true);
    expect(await redis.cli("keys", "*xxxx*")).toBe("");
  });
});

describe("a limit that is none", () => {
  it.each([0, -1, 1.5, Number.NaN])("%d is refused at the start, in one line", (limit) => {
    const start = () => startMember("redis://127.0.0.1:1", { globalInFlight: { limit } });
    expect(start).toThrow(/^[^\n]*redisAdmission\.globalInFlight\.limit[^\n]*$/);
  });
});
