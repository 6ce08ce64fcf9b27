import { randomUUID } from "node:crypto";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis, type RedisClient } from "./redis-client.ts";

const real = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
real.setMaxListeners(0);
afterAll(() => real.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
real.once("ready", becomeReady);

let trips = 0;
const client: RedisClient = {
  evalsha(...args) {
    trips += 1;
    return real.evalsha(...args);
  },
  eval: (...args) => real.eval(...args),
  script: (what, text) => real.script(what, text),
  get status() {
    return real.status;
  },
  on: (event, listener) => real.on(event, listener),
  off: (event, listener) => real.off(event, listener),
  disconnect: () => real.disconnect(),
};

describe("100,000 decisions a second of twenty processes, simulated", () => {
  const processes = 20;
  const perProcessAndMs = 5;
  const streamMs = 100;

  it.each([
    { title: "with room for all", limit: 12_000, perSecond: 110_000, least: 1, mostTrips: 0.06 },
    { title: "with too few places", limit: 8000, perSecond: 110_000, least: 0.75, mostTrips: 0.12 },
    {
      title: "with too low a rate",
      limit: 12_000,
      perSecond: 50_000,
      least: 0.85,
      mostTrips: 0.12,
    },
  ])("$title: limits hold, trips are few", async ({ limit, perSecond, least, mostTrips }) => {
    await ready;
    const time = new FakeClock();
    const namespace = `t${randomUUID()}`;
    const burst = 20_000;
    const stores = Array.from({ length: processes }, () =>
      redisAdmission(
        {
          client,
          clock: time,
          random: () => 0.5,
          processId: randomUUID(),
          namespace,
          secret: "a secret of the tests",
          deadlineMs: 5000,
          globalInFlight: { limit },
          messageRate: { count: perSecond, perMs: 1000, burst },
          globalBlocks: { processes },
        },
        () => 1e12 + time.monotonicMs(),
      ),
    );
    trips = 0;
    const durationMs = 500;
    const ends: (() => void)[][] = Array.from({ length: durationMs + streamMs }, () => []);
    let asked = 0;
    let admitted = 0;
    let inFlight = 0;
    for (let ms = 0; ms < durationMs; ms += 1) {
      for (const end of ends[ms] ?? []) end();
      const replies = stores.flatMap((store) =>
        Array.from({ length: perProcessAndMs }, async () => store.acquire("anna")),
      );
      asked += replies.length;
      for (const reply of await Promise.all(replies)) {
        if (reply === "unavailable") throw new Error("Redis did not answer");
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
      time.advance(1);
    }
    for (const store of stores) store.close();
    expect(asked).toBe((100_000 * durationMs) / 1000);
    expect(admitted / asked).toBeGreaterThanOrEqual(least);
    // Where nothing is left, who is refused pays for a trip, together with all who came in the same turn.
    expect(trips / asked).toBeLessThanOrEqual(mostTrips);
  });
});
