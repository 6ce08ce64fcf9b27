import { FakeClock, lacksRedisServer, privateRedis } from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { withRedis } from "./budget-redis.ts";

async function open() {
  const redis = await privateRedis();
  onTestFinished(() => redis.remove());
  return { redis, clock: new FakeClock() };
}

describe.skipIf(lacksRedisServer())("withRedis", () => {
  it("gives up a Redis that takes connections and answers nothing", async () => {
    const { redis, clock } = await open();
    redis.pause();
    const work = vi.fn<() => Promise<void>>();
    const ran = withRedis({ url: redis.url, clock }, work);
    clock.advance(5000);
    await expect(ran).rejects.toMatchObject({
      exitCode: exitCodes.unreachable,
      message: "Redis can't be reached: no answer within 5 s",
    });
    expect(work).not.toHaveBeenCalled();
    redis.resume();
  });

  it("gives up one that falls silent, or dies, while it is read", async () => {
    for (const end of ["pause", "kill9"] as const) {
      const { redis, clock } = await open();
      const ran = withRedis({ url: redis.url, clock }, async (client) => {
        await redis[end]();
        const time = client.time();
        clock.advance(5000);
        return time;
      });
      await expect(ran).rejects.toMatchObject({ exitCode: exitCodes.unreachable });
      redis.resume();
    }
  });

  it("leaves no connection and no timer behind", async () => {
    const { redis, clock } = await open();
    expect(await withRedis({ url: redis.url, clock }, (client) => client.ping())).toBe("PONG");
    expect(clock.pendingTimers).toBe(0);
    await expect.poll(() => redis.cli("client", "list")).not.toMatch(/cmd=ping/);
  });
});
