import { randomUUID } from "node:crypto";
import type { BudgetCaps, BudgetUse, SharedReply } from "@sluice/contract";
import { describeBudgetStore, FakeClock, type BudgetHarness } from "@sluice/testkit";
import { afterAll } from "vitest";
import { readGlobalBudget } from "./read-global-budget.ts";
import { redisAdmission, type RedisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
// One of each store, and a trace may have many of them.
client.setMaxListeners(0);
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

/** Of a fake clock. */
const day = "2026-01-01";
const none = { calls: 0, tokens: 0, costNanoUsd: 0 };
/** What a store without a cap that counts is created with: it has to have one. */
const most = Number.MAX_SAFE_INTEGER;

type Budget = "globalBudget" | "userBudget";

/** A budget's name is what it is found by: a namespace of its own, or a subject in the one of all. */
function budgetsOf(budget: Budget): BudgetHarness {
  return {
    leastCap: 1,
    // Each step is several trips, and to look at a subject takes more of them.
    traces: budget === "userBudget" ? 25 : 60,
    async open() {
      await ready;
      const clock = new FakeClock();
      const namespaces = new Map<string, string>();
      const stores = new Map<string, RedisAdmission>();

      const namespaceOf = (name: string): string => {
        const shared = budget === "userBudget" ? "" : name;
        const known = namespaces.get(shared) ?? `t${randomUUID()}`;
        namespaces.set(shared, known);
        return known;
      };
      /** Caps are those of a store; stores of a namespace share what they count. */
      const storeOf = (name: string, caps: BudgetCaps): RedisAdmission => {
        const namespace = namespaceOf(name);
        const given = Object.values(caps).some((cap) => cap !== undefined) ? caps : { calls: most };
        const id = `${namespace} ${JSON.stringify(given)}`;
        const known = stores.get(id);
        if (known !== undefined) return known;
        const store = redisAdmission({
          client,
          clock,
          random: () => 0.5,
          instanceId: randomUUID(),
          namespace,
          secret: "a secret of the tests",
          deadlineMs: 5000,
          heartbeat: false,
          [budget]: given,
        });
        stores.set(id, store);
        return store;
      };
      const reserve = async (
        ...[name, caps, ask]: Parameters<RedisBudgets["reserve"]>
      ): Promise<SharedReply | "unavailable"> => {
        const reply = await storeOf(name, caps).acquire(name, { budget: ask });
        if (reply === "unavailable") return reply;
        if (!reply.admitted) return { granted: false, reason: reply.reason };
        if (reply.reservation === undefined) throw new Error("nothing was reserved");
        return { granted: true, reservation: reply.reservation };
      };
      const flush = async (): Promise<void> => {
        await Promise.all([...stores.values()].map((store) => store.flush()));
      };
      const usesOf = {
        async globalBudget(name: string): Promise<BudgetUse> {
          const use = await readGlobalBudget(client, { namespace: namespaceOf(name), day });
          return use === undefined ? none : add(add(use.settled, use.open), use.expired);
        },
        /**
         * Nothing reads a subject's budget: it is what a call of nothing is told, but for the call itself. A
         * store tells of one cap, so each figure has its own.
         */
        async userBudget(name: string): Promise<BudgetUse> {
          const used = async (figure: keyof BudgetUse): Promise<number> => {
            const looker = storeOf(name, { [figure]: most });
            const reply = await looker.acquire(name, { budget: nothing });
            if (reply === "unavailable" || !reply.admitted) throw new Error("not told");
            const [state] = reply.states ?? [];
            if (state?.unit !== unitOf[figure]) throw new Error(`nothing is told of ${figure}`);
            reply.reservation?.void();
            await looker.flush();
            return state.limit - state.remaining;
          };
          // Alone, since the others' calls would count as well.
          const calls = (await used("calls")) - 1;
          const [tokens, costNanoUsd] = await Promise.all([used("tokens"), used("costNanoUsd")]);
          return { calls, tokens, costNanoUsd };
        },
      };
      return {
        reserve,
        use: usesOf[budget],
        flush,
        close() {
          for (const store of stores.values()) store.close();
        },
      };
    },
  };
}

type RedisBudgets = Awaited<ReturnType<BudgetHarness["open"]>>;

const nothing = {
  inputTokens: 0,
  outputTokens: 0,
  minOutputTokens: 0,
  price: { inputNanoUsdPerToken: 0, outputNanoUsdPerToken: 0 },
};

const unitOf = { calls: "calls", tokens: "tokens", costNanoUsd: "nano_usd" };

const add = (one: BudgetUse, other: BudgetUse): BudgetUse => ({
  calls: one.calls + other.calls,
  tokens: one.tokens + other.tokens,
  costNanoUsd: one.costNanoUsd + other.costNanoUsd,
});

describeBudgetStore("a day's budget of all in Redis", budgetsOf("globalBudget"));
describeBudgetStore("a day's budget of a subject in Redis", budgetsOf("userBudget"));
