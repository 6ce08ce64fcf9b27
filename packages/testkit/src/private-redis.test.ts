import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacksRedisServer, privateRedis, type PrivateRedis } from "./private-redis.ts";

describe.skipIf(lacksRedisServer())("privateRedis", () => {
  let redis: PrivateRedis;
  beforeAll(async () => {
    redis = await privateRedis({ settings: { maxmemory: "20mb" } });
  });
  afterAll(() => redis.remove());

  it("is a server with the settings asked for", async () => {
    expect(await redis.cli("config", "get", "maxmemory")).toBe(`maxmemory\n${20 * 1024 ** 2}`);
  });

  it.each(["stop", "kill9"] as const)("starts empty on the same port after %s", async (how) => {
    await redis.cli("set", "a", "1");
    await redis[how]();
    await expect(redis.cli("ping")).rejects.toThrow("Connection refused");
    await redis.start();
    expect(await redis.cli("dbsize")).toBe("0");
  });

  it("answers nothing while paused, and what waited once resumed", async () => {
    redis.pause();
    let answered = false;
    const answer = redis.cli("ping").finally(() => (answered = true));
    await setTimeout(50);
    expect(answered).toBe(false);
    redis.resume();
    expect(await answer).toBe("PONG");
  });
});
