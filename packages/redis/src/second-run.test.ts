import { randomUUID } from "node:crypto";
import { Reason, type AdmissionAsk } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { AcquireAnswer } from "./acquire-answer.ts";
import { createAcquireBatch } from "./acquire-batch.ts";
import { encodeAcquire } from "./acquire-call.ts";
import { buildAcquireScript } from "./acquire-script.ts";
import { parseAdmissionOptions, type RedisAdmissionOptions } from "./admission-options.ts";
import { idLength } from "./ids.ts";
import { createKeys } from "./keys.ts";
import { toPolicies } from "./policies.ts";
import { connectRedis } from "./redis-client.ts";
import { scriptRunner } from "./run-script.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
const scripts = scriptRunner(client);
afterAll(() => {
  scripts.close();
  client.disconnect();
});
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

type Limits = Partial<RedisAdmissionOptions>;

const clock = new FakeClock();
const reservationMs = 60_000;
const price = { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 };
const budget = { inputTokens: 10, outputTokens: 90, minOutputTokens: 1, price };

/** Asks as a store does, but under ids that the test says. */
async function open(limits: Limits, more: { readonly isFurther?: boolean } = {}) {
  await ready;
  const settings = parseAdmissionOptions({
    client,
    clock,
    random: () => 0.5,
    instanceId: "process",
    namespace: `t${randomUUID()}`,
    secret: "a secret of the tests",
    reservationMs,
    ...limits,
  });
  const keys = createKeys(settings.namespace, settings.secret);
  const all = toPolicies(settings);
  const policies = more.isFurther === true ? { ...all, inFlight: [], rates: [] } : all;
  const parts = { policies, keys };
  let nowMs = 1e12;
  const day = "2026-01-01";

  const ask = async (id: string, asked: AdmissionAsk | undefined) => {
    const batch = createAcquireBatch({
      parts,
      script: buildAcquireScript({ policies, ask: asked, leaseMs: 30_000, reservationMs }),
      ask: asked,
      day,
      run: scripts.run,
      head: () => ({ time: String(nowMs), isTidy: false, ttlMs: 60_000 }),
      beforeSend: () => undefined,
    });
    const call = encodeAcquire(parts, id.padEnd(idLength, "-"), "ann", asked);
    const answer = await new Promise<AcquireAnswer>((resolve, reject) => {
      batch.add({
        call,
        answer: (reply, from) => resolve(new AcquireAnswer(parts, asked, reply, from, 1000)),
        fail: reject,
      });
    });
    const { refused, would, insideBits, granted } = answer;
    return { refused, would, insideBits, granted };
  };

  /** All that is counted, and nothing of when it ends. */
  const counted = async (): Promise<unknown> => {
    const [, names] = await client.scan(0, "MATCH", `{adm:${settings.namespace}:0}*`, "COUNT", 1e6);
    const values = await Promise.all(
      names.toSorted().map(async (name) => {
        const type = await client.type(name);
        if (type === "zset") return [name, await client.zrange(name, "0", "-1", "WITHSCORES")];
        if (type === "hash") return [name, await client.hgetallBuffer(name)];
        return [name, await client.get(name)];
      }),
    );
    expect(values.length).toBeGreaterThan(0);
    return values;
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { ask, counted, pass, keys, day };
}

const inFlight = { userInFlight: { limit: 1 }, globalInFlight: { limit: 1 } };
const messageRate = { count: 1, perMs: 60_000, burst: 1 };
const caps = { calls: 1, tokens: 100, costNanoUsd: 100 };
const small = { tokens: 60 };

const configurations: Readonly<Record<string, Limits>> = {
  "places of a user and of all": inFlight,
  "places of a user alone": { userInFlight: { limit: 1 } },
  "a rate alone": { messageRate },
  "a user's budget alone": { userBudget: caps },
  "a budget of all alone": { globalBudget: caps },
  "a budget that lowers": { userBudget: small, globalBudget: caps },
  everything: { ...inFlight, messageRate, userBudget: caps, globalBudget: caps },
  "candidates beside limits": {
    globalInFlight: { limit: 9, candidate: 1 },
    userInFlight: { limit: 9, candidate: 1 },
    messageRate: { ...messageRate, count: 9, burst: 9, candidate: messageRate },
  },
};

const modes = (mode: "shadow" | "off"): AdmissionAsk["modes"] => ({
  user_in_flight: mode,
  global_in_flight: mode,
  message_rate: mode,
  user_budget: mode,
  global_budget: mode,
});

describe("a second run of a decision under the same id", () => {
  describe.each(Object.entries(configurations))("with %s", (_, limits) => {
    const asked = (given: AdmissionAsk): AdmissionAsk | undefined => {
      const countsBudgets = (limits.userBudget ?? limits.globalBudget) !== undefined;
      return countsBudgets ? { budget, ...given } : given;
    };

    it.each([
      ["as they are", undefined],
      ["in shadow", modes("shadow")],
      ["off", modes("off")],
    ] as const)("charges once and answers as the first, limits %s", async (__, given) => {
      const { ask, counted } = await open(limits);
      const how = asked({ modes: given });
      const first = await ask("a", how);
      expect(first.refused).toEqual([]);
      const before = await counted();
      expect(await ask("a", how)).toEqual(first);
      expect(await counted()).toEqual(before);
    });

    it("tells again what a shadow would have refused, though there is room by then", async () => {
      const { ask, counted, keys, day } = await open(limits);
      const how = asked({ modes: modes("shadow") });
      await ask("a", how);
      const first = await ask("b", how);
      expect(first.would.length).toBeGreaterThan(0);
      // The other ended, and took all with it.
      for (const set of [keys.globalInFlight, keys.usersInFlight]) {
        await client.del(set, `${set}:candidate`);
      }
      await client.del(keys.messageRate, `${keys.messageRate}:candidate`);
      await client.del(keys.userBudgets(day), keys.budgets(day));
      const before = await counted();
      expect(await ask("b", how)).toEqual(first);
      expect(await counted()).toEqual(before);
    });
  });

  it("of another call of a request charges once, and remembers what a shadow would have refused", async () => {
    const limits = { userBudget: { ...small, mode: "shadow" }, globalBudget: caps } as const;
    const { ask, counted } = await open(limits, { isFurther: true });
    const first = await ask("a", { budget });
    const before = await counted();
    expect(await ask("a", { budget })).toEqual(first);
    const over = await open({ userBudget: { calls: 1, mode: "shadow" } }, { isFurther: true });
    await over.ask("a", { budget });
    const would = await over.ask("b", { budget });
    expect(would.would).toEqual([{ reason: Reason.BUDGET_CALLS, dimension: "user_budget" }]);
    await client.del(over.keys.userBudgets(over.day), over.keys.budgets(over.day));
    expect(await over.ask("b", { budget })).toEqual(would);
    expect(await client.exists(over.keys.userBudgets(over.day), over.keys.budgets(over.day))).toBe(
      0,
    );
    expect(await counted()).toEqual(before);
  });

  it("answers its grant also once its reservation's time is up", async () => {
    for (const limits of [{ userBudget: small }, { globalBudget: small }]) {
      const { ask, pass } = await open(limits);
      const first = await ask("a", { budget });
      expect(first.granted).toBe(50);
      pass(reservationMs);
      // It is found out by the next, of which nothing is left but what is given back.
      await ask("b", { budget });
      expect(await ask("a", { budget })).toEqual(first);
    }
  });

  it("leaves nothing that stays for ever", async () => {
    const { ask, keys } = await open({ ...inFlight, messageRate, userBudget: caps });
    const how = { budget, modes: modes("shadow") };
    await ask("a", how);
    await ask("b", how);
    const [, names] = await client.scan(0, "MATCH", `${keys.globalInFlight}*`, "COUNT", 1e6);
    expect(names.some((name) => name.includes(":would:"))).toBe(true);
    for (const name of names) expect(await client.pttl(name), name).toBeGreaterThan(0);
  });

  it("keeps nothing beside the counts where nothing is in shadow", async () => {
    const { ask, keys } = await open({ ...inFlight, messageRate });
    await ask("a", undefined);
    await ask("b", undefined);
    const [, names] = await client.scan(0, "MATCH", `${keys.globalInFlight}:*`, "COUNT", 1e6);
    expect(names).toEqual([keys.usersInFlight]);
  });
});
