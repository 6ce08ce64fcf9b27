import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { FakeClock, lacksRedisServer, privateRedis, type PrivateRedis } from "@sluice/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createKeys } from "./keys.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const secret = "a secret of the tests";
const budget = { inputTokens: 10, outputTokens: 10, minOutputTokens: 1, price: undefined };
const deadlineMs = 50;

describe.skipIf(lacksRedisServer())("another call of a request", () => {
  let redis: PrivateRedis;
  beforeEach(async () => {
    redis = await privateRedis();
  });
  afterEach(() => redis.remove());

  it("is answered within the deadline and a fifth, and what came late is given back", async () => {
    const client = connectRedis({ url: redis.url, random: () => 0.5 });
    await once(client, "ready");
    const clock = new FakeClock();
    const namespace = `t${randomUUID()}`;
    const store = redisAdmission({
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret,
      deadlineMs,
      globalBudget: { calls: 10 },
    });
    const first = await store.acquire("ann", { budget });
    if (first === "unavailable" || !first.admitted) throw new Error("not admitted");
    await store.flush();
    redis.pause();
    const answers: unknown[] = [];
    const further = first.reservation?.further(budget);
    void Promise.resolve(further).then((reply) => answers.push(reply));
    await clock.advanceAsync(deadlineMs - 1);
    expect(answers).toEqual([]);
    await clock.advanceAsync(1 + deadlineMs / 5);
    expect(answers).toEqual(["unavailable"]);
    redis.resume();
    const key = createKeys(namespace, secret).budgets("2026-01-01");
    await vi.waitFor(async () => {
      expect(await redis.cli("info", "commandstats")).toMatch(/cmdstat_hdel:calls=1,/);
      expect(await redis.cli("hget", key, "c")).toBe("1");
    });
    store.close();
    client.disconnect();
  });
});
