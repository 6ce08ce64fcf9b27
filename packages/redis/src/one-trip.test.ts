import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AdmissionAsk, AdmissionReply } from "@sluice/contract";
import { FakeClock, lacksRedisServer, privateRedis, type PrivateRedis } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission, type RedisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

type Limits = Partial<RedisAdmissionOptions>;

const leaseMs = 30_000;
const perTrip = 25;
const price = { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 };
const budget = { inputTokens: 10, outputTokens: 90, minOutputTokens: 1, price };
const many = 1_000_000_000;
const caps = { calls: many, tokens: many, costNanoUsd: many };
const rate = { count: many, perMs: 1000 };
const withBudget: AdmissionAsk = { budget };
const allShadow: AdmissionAsk = {
  budget,
  modes: {
    user_in_flight: "shadow",
    global_in_flight: "shadow",
    message_rate: "shadow",
    user_budget: "shadow",
    global_budget: "shadow",
  },
};

const everything: Limits = {
  userInFlight: { limit: many },
  globalInFlight: { limit: many },
  messageRate: rate,
  userBudget: caps,
  globalBudget: caps,
};
const spent: Limits = {
  ...everything,
  userInFlight: { limit: 1 },
  globalInFlight: { limit: 1 },
  globalBudget: { calls: 1 },
};
const configurations: Readonly<Record<string, { limits: Limits; ask?: AdmissionAsk }>> = {
  "one limit of all": { limits: { globalInFlight: { limit: many } } },
  "every dimension and two budgets": { limits: everything, ask: withBudget },
  "every dimension and two budgets, none with room": { limits: spent, ask: withBudget },
  "every dimension and two budgets in shadow, none with room": { limits: spent, ask: allShadow },
  "candidates beside all limits": {
    limits: {
      ...everything,
      userInFlight: { limit: many, candidate: 1 },
      globalInFlight: { limit: many, candidate: 1 },
      messageRate: { ...rate, candidate: { count: 1, perMs: 60_000 } },
    },
    ask: withBudget,
  },
};

const evalsha = (times: number) => ({
  commands: Array.from({ length: times }, () => "evalsha"),
  counted: times,
});
const askAtOnce = (store: RedisAdmission, count: number, ask?: AdmissionAsk) =>
  Promise.all(Array.from({ length: count }, async (_, i) => store.acquire(`user-${i}`, ask)));

describe.skipIf(lacksRedisServer())("trips to Redis", () => {
  let redis: PrivateRedis;
  let client: ReturnType<typeof connectRedis>;
  /** What clients ask of the server, apart from what scripts do there. */
  const asked: string[] = [];
  let monitor: { disconnect(): void };
  beforeAll(async () => {
    redis = await privateRedis();
    client = connectRedis({ url: redis.url, random: () => 0.5 });
    await once(client, "ready");
    const watching = await client.monitor();
    watching.on("monitor", (_time: string, [name, last]: readonly string[], source: string) => {
      if (source !== "lua") asked.push(name === "ping" ? `ping ${last}` : (name ?? ""));
    });
    monitor = watching;
  });
  afterAll(async () => {
    monitor.disconnect();
    client.disconnect();
    await redis.remove();
  });

  /** A store whose scripts Redis knows. */
  const open = async (limits: Limits, ask?: AdmissionAsk) => {
    const clock = new FakeClock();
    const store = redisAdmission(
      {
        client,
        clock,
        random: () => 0.5,
        instanceId: randomUUID(),
        namespace: `t${randomUUID()}`,
        secret: "a secret of the tests",
        deadlineMs: 10_000,
        leaseMs,
        ...limits,
      },
      () => 1e12 + clock.monotonicMs(),
    );
    onTestFinished(() => store.close());
    await store.acquire("first", ask);
    await store.flush();
    return { store, clock };
  };

  /** The commands that it took, and what Redis counted of them. */
  const tripsOf = async (todo: () => Promise<unknown>) => {
    await fence();
    await client.config("RESETSTAT");
    const from = (await fence()) + 1;
    await todo();
    const to = await fence();
    const stats = await client.info("commandstats");
    const counted = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    return { commands: asked.slice(from, to), counted };
  };
  /** Resolves once everything before it was seen, with its place among the commands. */
  const fence = async (): Promise<number> => {
    const mark = randomUUID();
    await client.ping(mark);
    while (!asked.includes(`ping ${mark}`)) await new Promise(setImmediate);
    return asked.indexOf(`ping ${mark}`);
  };

  describe.each(Object.entries(configurations))("with %s", (_, { limits, ask }) => {
    it("are as many as decisions that are made one by one, and nothing besides", async () => {
      const { store } = await open(limits, ask);
      const trips = await tripsOf(async () => {
        for (let i = 0; i < 40; i += 1) {
          expect(await store.acquire(`user-${i}`, ask)).not.toBe("unavailable");
        }
      });
      expect(trips).toEqual(evalsha(40));
    });

    it.each([2, perTrip, perTrip + 1, 500])(
      "are shared by %i decisions of a turn",
      async (count) => {
        const { store } = await open(limits, ask);
        const trips = await tripsOf(() => askAtOnce(store, count, ask));
        expect(trips).toEqual(evalsha(Math.ceil(count / perTrip)));
      },
    );
  });

  const holding = async (count: number) => {
    const { store, clock } = await open(everything, withBudget);
    const held = (await askAtOnce(store, count, withBudget)).map(admitted);
    return { store, clock, held };
  };

  it("are one for all releases, settlements and beats of a tick", async () => {
    const { store, clock, held } = await holding(60);
    const trips = await tripsOf(async () => {
      // Both the beat of what goes on and this process' own are due.
      clock.advance(leaseMs / 3);
      for (const [index, { lease, reservation }] of held.entries()) {
        if (index % 3 === 0) reservation?.settle({ inputTokens: 5, outputTokens: 5 });
        else if (index % 3 === 1) reservation?.void();
        if (index % 2 === 0) lease.release();
      }
      await store.flush();
    });
    expect(trips).toEqual(evalsha(1));
    expect(store.state()).toMatchObject({ leases: 31, pending: 0, dropped: 0 });
  });

  it("are two where what ended makes room for who asks in the same turn", async () => {
    const { store, held } = await holding(1);
    const trips = await tripsOf(async () => {
      held[0]?.lease.release();
      await store.acquire("next", withBudget);
    });
    expect(trips).toEqual(evalsha(2));
  });

  it("are one for another call of a request, and one for a tool", async () => {
    const { store, held } = await holding(1);
    const further = async () => held[0]?.reservation?.further(budget);
    // The first brings its script, which few need.
    await further();
    expect(await tripsOf(further)).toEqual(evalsha(1));
    expect(await tripsOf(async () => store.takeTool("ann"))).toEqual(evalsha(0));
    const { store: withTools } = await open({ toolRate: { count: 1, perMs: 60_000 } });
    await withTools.takeTool("ann");
    expect(await tripsOf(() => withTools.takeTool("ann"))).toEqual(evalsha(1));
  });

  it("are none for what a rate refused just now", async () => {
    const { store } = await open({ messageRate: { count: 1, perMs: 60_000 } });
    await store.acquire("ann");
    const trips = await tripsOf(async () => {
      for (let i = 0; i < 40; i += 1) {
        expect(await store.acquire(`user-${i}`)).toMatchObject({ admitted: false });
      }
    });
    expect(trips).toEqual(evalsha(0));
  });

  it("are one more where the server forgot a script, however many ask", async () => {
    const { store } = await open(everything, withBudget);
    await client.script("FLUSH");
    const { commands } = await tripsOf(() => askAtOnce(store, perTrip, withBudget));
    expect(commands).toEqual(["evalsha", "eval"]);
    expect(await tripsOf(() => askAtOnce(store, perTrip, withBudget))).toEqual(evalsha(1));
  });
});

function admitted(
  reply: AdmissionReply | "unavailable",
): Extract<AdmissionReply, { admitted: true }> {
  if (reply === "unavailable" || !reply.admitted) throw new Error("not admitted");
  return reply;
}
