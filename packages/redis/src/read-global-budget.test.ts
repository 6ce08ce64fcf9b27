import { randomUUID } from "node:crypto";
import type { AdmissionReply, SharedReservation } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { readGlobalBudget } from "./read-global-budget.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const day = "2026-11-28";
const price = { inputNanoUsdPerToken: 10, outputNanoUsdPerToken: 100 };
/** 700 tokens and 43,000 nano-dollars: 300 × 10 + 400 × 100. */
const budget = { inputTokens: 300, outputTokens: 400, minOutputTokens: 1, price };
const none = { calls: 0, tokens: 0, costNanoUsd: 0 };

async function open(timeMs?: () => number) {
  await ready;
  const namespace = `t${randomUUID()}`;
  const store = redisAdmission(
    {
      client,
      clock: new FakeClock({ wallMs: Date.UTC(2026, 10, 28, 12) }),
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret: "a secret of the tests",
      deadlineMs: 5000,
      reservationMs: 60_000,
      globalBudget: { calls: 1000, tokens: 1_000_000, costNanoUsd: 1_000_000_000 },
    },
    timeMs,
  );
  const reserve = async (): Promise<SharedReservation> =>
    reservationOf(await store.acquire("ann", { budget }));
  return { store, namespace, reserve, read: () => readGlobalBudget(client, { namespace, day }) };
}

function reservationOf(reply: AdmissionReply | "unavailable"): SharedReservation {
  if (reply === "unavailable" || !reply.admitted || reply.reservation === undefined) {
    throw new Error("nothing was reserved");
  }
  return reply.reservation;
}

describe("readGlobalBudget", () => {
  it("tells what was settled by its usage, and what calls that run have set aside", async () => {
    const { store, reserve, read } = await open();
    const told = await reserve();
    told.settle({ inputTokens: 250, outputTokens: 20 });
    // It told no usage, so all that was set aside stays charged.
    (await reserve()).settle(undefined);
    (await reserve()).void();
    await reserve();
    await reserve();
    await store.flush();
    expect(await read()).toEqual({
      settled: { calls: 2, tokens: 270 + 700, costNanoUsd: 4500 + 43_000 },
      open: { calls: 2, tokens: 1400, costNanoUsd: 86_000 },
      expired: none,
    });
    store.close();
  });

  it("counts the prompt of what nobody settled in time, before a decision came by and after", async () => {
    // By a clock that is long past: what is set aside has run out by Redis' own.
    let nowMs = 1e12;
    const { store, reserve, read } = await open(() => nowMs);
    await reserve();
    await reserve();
    const expired = { calls: 2, tokens: 600, costNanoUsd: 6000 };
    expect(await read()).toEqual({ settled: none, open: none, expired });
    nowMs += 60_001;
    const late = await reserve();
    // The two are marked now, and the third has run out by Redis' clock.
    expect(await read()).toEqual({
      settled: none,
      open: none,
      expired: { calls: 3, tokens: 900, costNanoUsd: 9000 },
    });
    late.settle({ inputTokens: 1, outputTokens: 1 });
    await store.flush();
    expect(await read()).toEqual({
      settled: { calls: 1, tokens: 2, costNanoUsd: 110 },
      open: none,
      expired,
    });
    store.close();
  });

  it("adds up what is not priced by its tokens alone", async () => {
    const { store, namespace, read } = await open();
    const tokensOnly = redisAdmission({
      client,
      clock: new FakeClock({ wallMs: Date.UTC(2026, 10, 28, 12) }),
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret: "a secret of the tests",
      deadlineMs: 5000,
      globalBudget: { tokens: 1_000_000 },
    });
    await tokensOnly.acquire("ann", { budget: { ...budget, price: undefined } });
    expect(await read()).toMatchObject({ open: { calls: 1, tokens: 700, costNanoUsd: 0 } });
    tokensOnly.close();
    store.close();
  });

  it("knows nothing of a day on which nobody counted", async () => {
    const { store, namespace, reserve } = await open();
    await reserve();
    expect(await readGlobalBudget(client, { namespace, day: "2026-11-27" })).toBeUndefined();
    store.close();
  });

  it.each([
    { c: "1", t: "x", m: "1" },
    { c: "1", t: "", m: "1" },
    { user: "anna" },
    { c: "1", t: "700", m: "0", "p:1": "soon 1 2 3 4" },
    { c: "1", t: "700", m: "0", "p:1": "x 1 2 3" },
  ])("does not take %j for a budget", async (fields) => {
    await ready;
    const namespace = `t${randomUUID()}`;
    const key = `{adm:${namespace}:0}:day:${day}`;
    await client.hset(key, fields);
    await client.expire(key, 60);
    await expect(readGlobalBudget(client, { namespace, day })).rejects.toThrow(TypeError);
  });

  it("changes nothing and rejects with Redis' word where another kind of key stands", async () => {
    await ready;
    const namespace = `t${randomUUID()}`;
    const key = `{adm:${namespace}:0}:day:${day}`;
    await client.set(key, "anna", "EX", 60);
    await expect(readGlobalBudget(client, { namespace, day })).rejects.toThrow(/^WRONGTYPE/);
    expect(await client.get(key)).toBe("anna");
  });
});
