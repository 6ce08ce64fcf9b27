import { randomUUID } from "node:crypto";
import type { AdmissionReply, BudgetAsk, SharedReservation, Usage } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

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
      processId: randomUUID(),
      namespace,
      secret: "a secret of the tests",
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
    const [, keys] = await client.scan(0, "MATCH", `*${namespace}*:day:*`, "COUNT", 1_000_000);
    const key = keys.find((name) => name.split(":").length === (scope === "all" ? 5 : 6)) ?? "";
    const [calls, tokens, costNanoUsd] = await client.hmget(key, "c", "t", "m");
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
    expect((await dayOf("user")).tokens).toBe(left);
    // What is given back is what stands with the reservation.
    lowered.settle({ inputTokens: 3, outputTokens: 4 });
    await store.flush();
    expect((await dayOf("user")).tokens).toBe(7);
    store.close();
  });
});
