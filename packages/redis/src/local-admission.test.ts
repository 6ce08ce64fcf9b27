import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AdmissionReply, SharedReply, SharedReservation } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterEach, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).toReversed()) end();
});

const price = { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 };
const budget = { inputTokens: 40, outputTokens: 60, minOutputTokens: 1, price };

async function open(options: Partial<RedisAdmissionOptions>) {
  const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
  const ready = once(client, "ready");
  const clock = new FakeClock();
  const store = redisAdmission(
    {
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace: `t${randomUUID()}`,
      secret: "a secret of the tests",
      deadlineMs: 5000,
      onLoss: "local",
      ...options,
    },
    () => 1e12 + clock.monotonicMs(),
  );
  const lose = (): void => client.disconnect();
  ends.push(lose, () => store.close());
  await ready;
  return { store, clock, lose };
}

function reservationOf(reply: AdmissionReply | SharedReply | "unavailable"): SharedReservation {
  if (reply === "unavailable" || !("reservation" in reply) || reply.reservation === undefined) {
    throw new Error("nothing was reserved");
  }
  return reply.reservation;
}

describe("budgets when Redis is lost, onLoss local", () => {
  const caps = { calls: 10, tokens: 300 };

  it.each([
    ["settled by its usage", "settle", 300 - 7],
    ["settled without usage", "lose", 300 - 100],
    ["given back", "void", 300],
    ["still open", "open", 300 - 100],
  ] as const)("go on from what Redis granted: a call that is %s", async (_, how, left) => {
    for (const limits of [{ userBudget: caps }, { globalBudget: caps }]) {
      for (const isFurther of [false, true]) {
        const { store, lose } = await open(limits);
        const first = reservationOf(await store.acquire("ann", { budget }));
        if (isFurther) first.void();
        const call = isFurther ? reservationOf(await first.further(budget)) : first;
        const endIt = (): void => {
          if (how === "settle") call.settle({ inputTokens: 3, outputTokens: 4 });
          if (how === "lose") call.settle(undefined);
          if (how === "void") call.void();
        };
        endIt();
        lose();
        // Only the first ending counts.
        endIt();
        const rest = { inputTokens: 0, outputTokens: 1000, minOutputTokens: 1, price };
        const local = reservationOf(await store.acquire("ann", { budget: rest }));
        expect(local.outputTokens).toBe(left);
      }
    }
  });

  it("are charged with what Redis granted, and not with what was asked for", async () => {
    const { store, lose } = await open({ userBudget: { tokens: 130 }, globalBudget: caps });
    await store.acquire("ann", { budget });
    // Of 100 tokens 30 are left to her.
    expect(
      reservationOf(await store.acquire("ann", { budget: { ...budget, inputTokens: 10 } })),
    ).toMatchObject({ outputTokens: 20 });
    lose();
    const rest = { inputTokens: 0, outputTokens: 1000, minOutputTokens: 1, price };
    const other = reservationOf(await store.acquire("ben", { budget: rest }));
    expect(other.outputTokens).toBe(130);
    const reply = await store.acquire("ann", { budget: rest });
    expect(reply).toMatchObject({ admitted: false, reason: "BUDGET_TOKENS" });
  });

  it("refuse nobody when open, another call of a request neither", async () => {
    const { store, lose } = await open({ onLoss: "open", userBudget: { calls: 1 } });
    lose();
    const first = reservationOf(await store.acquire("ann", { budget }));
    const second = reservationOf(await first.further(budget));
    expect(second.outputTokens).toBe(60);
    expect(await store.acquire("ann", { budget })).toMatchObject({
      admitted: true,
      wouldRefuse: ["BUDGET_CALLS"],
    });
  });
});

describe("limits when Redis is lost, onLoss open", () => {
  it("say what they would refuse, but for those that are off", async () => {
    const { store, lose } = await open({
      onLoss: "open",
      userInFlight: { limit: 1 },
      globalInFlight: { limit: 1, mode: "off" },
      messageRate: { count: 1, perMs: 60_000 },
    });
    lose();
    const ask = { modes: { message_rate: "off" } } as const;
    await store.acquire("ann", ask);
    expect(await store.acquire("ann", ask)).toMatchObject({
      admitted: true,
      wouldRefuse: ["USER_IN_FLIGHT"],
    });
  });
});

describe("places and rates when Redis is lost, onLoss local", () => {
  it("go on from all that Redis let in, what is over this process's share too", async () => {
    const namespace = `t${randomUUID()}`;
    const limits = { namespace, globalInFlight: { limit: 8 } };
    const { store, clock, lose } = await open(limits);
    const other = await open(limits);
    await other.store.flush();
    await clock.advanceAsync(10_000);
    await store.flush();
    const leases = [];
    for (let n = 0; n < 6; n += 1) {
      const reply = await store.acquire("ann");
      if (reply === "unavailable" || !reply.admitted) throw new Error("not admitted");
      leases.push(reply.lease);
    }
    lose();
    // Its share is 4: of the 6 that go on, three have to end before another comes in.
    for (const lease of leases.slice(0, 2)) lease.release();
    expect(await store.acquire("ann")).toMatchObject({ admitted: false });
    leases[2]?.release();
    expect(await store.acquire("ann")).toMatchObject({ admitted: true });
    expect(await store.acquire("ann")).toMatchObject({ admitted: false });
  });

  it("has spent of the rate what Redis let through, but where the rate is off", async () => {
    for (const mode of ["enforce", "off"] as const) {
      const messageRate = { count: 2, perMs: 60_000, burst: 2, mode };
      const { store, lose } = await open({ messageRate });
      await store.acquire("ann");
      await store.acquire("ann");
      lose();
      const modes = { message_rate: "enforce" } as const;
      expect(await store.acquire("ann", { modes })).toMatchObject({ admitted: mode === "off" });
    }
  });
});
