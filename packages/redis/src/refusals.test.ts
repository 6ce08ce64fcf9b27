import { randomUUID } from "node:crypto";
import type { AdmissionAsk } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { createKeys } from "./keys.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const secret = "a secret of the tests";
const messageRate = { count: 1, perMs: 60_000, burst: 1 };

async function open(options: Partial<RedisAdmissionOptions>) {
  await ready;
  const clock = new FakeClock();
  const namespace = options.namespace ?? `t${randomUUID()}`;
  const store = redisAdmission(
    {
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret,
      deadlineMs: 5000,
      ...options,
    },
    () => 1e12 + clock.monotonicMs(),
  );
  return { store, clock, namespace, keys: createKeys(namespace, secret) };
}

describe("a refusal by rate", () => {
  const on: AdmissionAsk = { modes: { message_rate: "enforce", user_in_flight: "off" } };

  it.each([
    ["the limits' own", undefined],
    ["its own", on],
  ] as const)(
    "is known without Redis for a second to whoever comes with modes of %s",
    async (_, ask) => {
      const { store, clock, keys } = await open({ messageRate });
      await store.acquire("ann", ask);
      expect(await store.acquire("ann", ask)).toMatchObject({ retryAfterMs: 60_000 });
      // Redis would let one through again.
      await client.del(keys.messageRate);
      await clock.advanceAsync(999);
      expect(await store.acquire("ben", ask)).toMatchObject({
        admitted: false,
        reason: "MESSAGE_RATE",
        retryAfterMs: 59_001,
      });
      await clock.advanceAsync(1);
      expect(await store.acquire("ben", ask)).toMatchObject({ admitted: true });
      store.close();
    },
  );

  it("says nothing of other modes, nor where a shadow wants to be asked", async () => {
    const { store } = await open({ messageRate, userInFlight: { limit: 1, mode: "shadow" } });
    await store.acquire("ann", on);
    expect(await store.acquire("ann", on)).toMatchObject({ admitted: false });
    expect(await store.acquire("ann", { modes: { message_rate: "off" } })).toMatchObject({
      admitted: true,
    });
    for (let n = 0; n < 2; n += 1) {
      expect(await store.acquire("ann")).toMatchObject({
        admitted: false,
        reason: "MESSAGE_RATE",
        wouldRefuse: ["USER_IN_FLIGHT"],
      });
    }
    store.close();
  });
});

describe("what stands of a rate after an answer", () => {
  it("is within the limit that is now, though a higher one was used up", async () => {
    const high = await open({ messageRate: { count: 1, perMs: 1000, burst: 50 } });
    for (let n = 0; n < 50; n += 1) await high.store.acquire("ann");
    const { store } = await open({
      namespace: high.namespace,
      messageRate: { count: 1, perMs: 1000, burst: 2 },
    });
    expect(await store.acquire("ann")).toMatchObject({
      admitted: false,
      states: [{ dimension: "message_rate", limit: 2, remaining: 0, resetMs: 2000 }],
    });
    store.close();
    high.store.close();
  });

  it("counts the rest of a burst also where an interval is no whole number of milliseconds", async () => {
    for (const count of [3, 7, 900, 7000]) {
      const { store } = await open({ messageRate: { count, perMs: 1000, burst: 9 } });
      for (let rest = 8; rest >= 0; rest -= 1) {
        expect(await store.acquire("ann")).toMatchObject({
          admitted: true,
          states: [{ dimension: "message_rate", mode: "enforce", limit: 9, remaining: rest }],
        });
      }
      store.close();
    }
  });
});
