import { randomUUID } from "node:crypto";
import type { AdmissionReply, BudgetAsk, SharedReservation, Usage } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { createKeys } from "./keys.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";
import { readUserBudget } from "./user-budget-for-tests.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const secret = "a secret of the tests";
const reservationMs = 60_000;
const price = { inputNanoUsdPerToken: 10, outputNanoUsdPerToken: 100 };
const budget: BudgetAsk = { inputTokens: 300, outputTokens: 400, minOutputTokens: 1, price };
const caps = { calls: 1000, tokens: 1_000_000, costNanoUsd: 1_000_000_000 };

async function open(options: Partial<RedisAdmissionOptions>) {
  await ready;
  const clock = new FakeClock();
  const namespace = `t${randomUUID()}`;
  const store = redisAdmission(
    {
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret,
      deadlineMs: 5000,
      leaseMs: 3_600_000,
      reservationMs,
      ...options,
    },
    () => 1e12 + clock.monotonicMs(),
  );
  const reserve = async (ask = budget): Promise<SharedReservation> =>
    reservationOf(await store.acquire("ann", { budget: ask }));
  const dayOf = async (scope: "user" | "all") => {
    const keys = createKeys(namespace, secret);
    const day = new Date(clock.wallMs()).toISOString().slice(0, 10);
    if (scope === "user") return readUserBudget(client, keys, "ann", day);
    const [calls, tokens, costNanoUsd] = await client.hmget(keys.budgets(day), "c", "t", "m");
    return { calls: Number(calls), tokens: Number(tokens), costNanoUsd: Number(costNanoUsd) };
  };
  return { store, clock, reserve, dayOf };
}

function reservationOf(reply: AdmissionReply | "unavailable"): SharedReservation {
  if (reply === "unavailable" || !reply.admitted || reply.reservation === undefined) {
    throw new Error("nothing was reserved");
  }
  return reply.reservation;
}

const use = (calls: number, { inputTokens, outputTokens }: Usage) => ({
  calls,
  tokens: inputTokens + outputTokens,
  costNanoUsd: inputTokens * 10 + outputTokens * 100,
});

describe("a reservation that ends after its time", () => {
  const told = { inputTokens: 250, outputTokens: 20 };
  const ends: readonly {
    readonly how: string;
    readonly end: (late: SharedReservation) => void;
    readonly charged: ReturnType<typeof use>;
  }[] = [
    {
      how: "with usage is charged by that",
      end: (late) => late.settle(told),
      charged: use(1, told),
    },
    {
      how: "without usage is charged whole",
      end: (late) => late.settle(undefined),
      charged: use(1, budget),
    },
    {
      how: "as if it never was is not charged",
      end: (late) => late.void(),
      charged: use(0, { inputTokens: 0, outputTokens: 0 }),
    },
  ];
  for (const scope of ["user", "all"] as const) {
    it.each(ends)(`$how, in the budget of ${scope}`, async ({ end, charged }) => {
      const limits = scope === "user" ? { userBudget: caps } : { globalBudget: caps };
      const { store, clock, reserve, dayOf } = await open(limits);
      const late = await reserve();
      await clock.advanceAsync(reservationMs);
      // Whoever comes next finds that its time is up.
      (await reserve()).void();
      await store.flush();
      expect(await dayOf(scope)).toEqual(use(1, { inputTokens: 300, outputTokens: 0 }));
      end(late);
      await store.flush();
      expect(await dayOf(scope)).toEqual(charged);
      store.close();
    });
  }
});

describe("a grant that was lowered", () => {
  it("is set aside to the last of its digits, however large it is", async () => {
    const left = 123_456_789_012_345;
    const { store, reserve, dayOf } = await open({ userBudget: { tokens: left } });
    const ask = { inputTokens: 0, outputTokens: 2 * left, minOutputTokens: 1, price: undefined };
    const lowered = await reserve(ask);
    expect(lowered.outputTokens).toBe(left);
    expect((await dayOf("user"))?.tokens).toBe(left);
    // What is given back is what stands with the reservation.
    lowered.settle({ inputTokens: 3, outputTokens: 4 });
    await store.flush();
    expect((await dayOf("user"))?.tokens).toBe(7);
    store.close();
  });
});

describe("many reservations whose time is up", () => {
  it("are given back a part at a time, with the decisions that come by, and none is missed", async () => {
    const { store, clock, reserve, dayOf } = await open({
      userBudget: { calls: 10_000 },
      globalBudget: { tokens: 10_000_000 },
    });
    const many = 1300;
    await Promise.all(Array.from({ length: many }, async () => reserve()));
    await clock.advanceAsync(reservationMs / 2);
    const young = await reserve();
    await clock.advanceAsync(reservationMs / 2);
    const prompts = { inputTokens: 300 * many, outputTokens: 0 };
    const withYoung = use(many + 1, {
      inputTokens: prompts.inputTokens + 300,
      outputTokens: 400,
    });
    for (let turn = 0; turn < 10; turn += 1) {
      (await reserve()).void();
      await store.flush();
    }
    expect(await dayOf("all")).toEqual(withYoung);
    expect(await dayOf("user")).toEqual(withYoung);
    young.void();
    await store.flush();
    expect(await dayOf("all")).toEqual(use(many, prompts));
    // What came after the look began is found by the next.
    await reserve();
    await clock.advanceAsync(reservationMs);
    for (let turn = 0; turn < 10; turn += 1) {
      (await reserve()).void();
      await store.flush();
    }
    const all = { inputTokens: prompts.inputTokens + 300, outputTokens: 0 };
    expect(await dayOf("all")).toEqual(use(many + 1, all));
    expect(await dayOf("user")).toEqual(use(many + 1, all));
    store.close();
  });
});
