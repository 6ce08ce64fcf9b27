import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { FakeClock, seededRandom } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";
import { createShards } from "./shards.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
client.setMaxListeners(0);
afterAll(() => client.disconnect());
const ready = once(client, "ready");

describe("100,000 decisions a second of twenty processes over eight shards, simulated", () => {
  const processes = 20;
  const count = 8;
  const perMs = 100;
  const streamMs = 100;
  const burst = 20_000;
  const secret = "a secret of the tests";

  it.each([
    { title: "evenly, with room for all", limit: 13_000, perSecond: 130_000, hot: 0, least: 0.99 },
    { title: "evenly, with too few places", limit: 8000, perSecond: 130_000, hot: 0, least: 0.76 },
    { title: "evenly, with too low a rate", limit: 13_000, perSecond: 50_000, hot: 0, least: 0.6 },
    {
      title: "half of them on one shard, with room for all",
      limit: 16_000,
      perSecond: 200_000,
      hot: 0.5,
      least: 0.9,
    },
  ])(
    "$title: limits hold, and what they allow is used",
    async ({ limit, perSecond, hot, least }) => {
      await ready;
      const clock = new FakeClock();
      const namespace = `t${randomUUID()}`;
      const random = seededRandom(11);
      const stores = Array.from({ length: processes }, () =>
        redisAdmission(
          {
            client,
            clock,
            random: () => random.next(),
            instanceId: randomUUID(),
            namespace,
            secret,
            deadlineMs: 5000,
            shards: { count },
            userInFlight: { limit: 50 },
            globalInFlight: { limit },
            messageRate: { count: perSecond, perMs: 1000, burst },
          },
          () => 1e12 + clock.monotonicMs(),
        ),
      );
      const shards = createShards({ namespace, secret, shards: { count } });
      const subjects = Array.from({ length: 5000 }, (_, n) => `user-${n}`);
      const onHot = subjects.filter((subject) => shards.indexOf(subject) === 3);
      // As demand comes up, shares follow; what is measured is what they allow then.
      const warmMs = hot > 0 ? 2200 : 0;
      const durationMs = warmMs + 500;
      const ends: (() => void)[][] = Array.from({ length: durationMs + streamMs }, () => []);
      let [asked, admitted, measuredFrom, inFlight] = [0, 0, 0, 0];
      for (let ms = 0; ms < durationMs; ms += 1) {
        for (const end of ends[ms] ?? []) end();
        if (ms === warmMs) [asked, measuredFrom] = [0, admitted];
        const replies = await Promise.all(
          // While it warms up a tenth of the load is enough to see where it comes from.
          Array.from({ length: ms < warmMs ? perMs / 10 : perMs }, async (_, n) =>
            stores[n % processes]?.acquire(random.pick(random.next() < hot ? onHot : subjects)),
          ),
        );
        asked += replies.length;
        for (const reply of replies) {
          if (reply === undefined || reply === "unavailable") {
            throw new Error("Redis did not answer");
          }
          if (!reply.admitted) continue;
          admitted += 1;
          inFlight += 1;
          ends[ms + streamMs]?.push(() => {
            inFlight -= 1;
            reply.lease.release();
          });
        }
        expect(inFlight).toBeLessThanOrEqual(limit);
        expect(admitted).toBeLessThanOrEqual(burst + (ms * perSecond) / 1000);
        clock.advance(1);
      }
      for (const store of stores) store.close();
      expect(asked).toBe(perMs * 500);
      expect((admitted - measuredFrom) / asked).toBeGreaterThanOrEqual(least);
    },
    120_000,
  );
});
