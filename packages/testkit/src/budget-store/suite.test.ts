import type {
  BudgetAsk,
  BudgetCaps,
  BudgetReply,
  BudgetStore,
  BudgetUse,
  SharedReply,
  SharedReservation,
} from "@sluice/contract";
import { add, giveBack, reserve, settle, unused } from "@sluice/policy";
import { describePlantedFaults } from "../describe-planted-faults.ts";
import { runBudgets, type BudgetHarness, type CreateBudgetStore } from "./bench.ts";
import { budgetChecks } from "./suite.ts";

/** One way each in which any budget can be wrong. */
const budgetFaults = [
  "one call too many",
  "wrong reason",
  "output is never lowered",
  "tokens are not capped",
  "money is not capped",
  "unpriced costs nothing",
  "refused counts a call",
  "caps are those of the first call",
  "prompt is not set aside",
  "settles at nothing",
  "settles at the reservation",
  "missing usage is free",
  "believes any usage",
  "void keeps the call",
  "further ones are a run of their own",
  "void gives nothing back",
  "settles every time",
  "voids every time",
  "ends the latest",
  "runs share an account",
  "runs in an object",
  "unknown run throws",
] as const;
/** And those of a store of runs. */
const faults = [
  ...budgetFaults,
  "answers later",
  "a cap of nothing is none",
  "further ones keep the caps",
  "no run is one run",
  "restore does nothing",
  "restore adds a call",
  "end does nothing",
  "end lets old reservations in",
  "evicts spent runs",
  "evicts open runs",
  "forgets slow runs",
  "never makes room",
] as const;
type Fault = (typeof faults)[number];

interface Account {
  use: BudgetUse;
  open: number;
  touchedMs: number;
}

/** As who asks for a truth of a number takes caps. */
const withoutNothing = (caps: BudgetCaps, isWrong: boolean): BudgetCaps =>
  isWrong
    ? {
        calls: caps.calls || undefined,
        tokens: caps.tokens || undefined,
        costNanoUsd: caps.costNanoUsd || undefined,
      }
    : caps;

/** A plain store, right but for one planted fault. */
function planted(fault?: Fault): CreateBudgetStore {
  const has = (one: Fault): boolean => fault === one;
  const nameOf = (run: string): string => {
    if (has("runs share an account")) return "all";
    // What a plain object does with the names that it inherits.
    return has("runs in an object") && run in {} ? "inherited" : run;
  };
  return (options, clock): BudgetStore => {
    const maxRuns = options.maxRuns ?? Number.POSITIVE_INFINITY;
    const runIdleMs = options.runIdleMs ?? Number.POSITIVE_INFINITY;
    const accounts = new Map<string, Account>();
    let firstCaps: Parameters<BudgetStore["reserve"]>[1] | undefined;

    const forget = (when: (account: Account) => boolean): void => {
      for (const [run, account] of accounts) if (when(account)) accounts.delete(run);
    };
    const idle = (account: Account) => clock.monotonicMs() - account.touchedMs >= runIdleMs;
    const makeRoom = (): void => {
      if (has("never makes room")) return;
      forget((account) => idle(account) && (account.open === 0 || has("forgets slow runs")));
      if (accounts.size < maxRuns) return;
      if (has("evicts spent runs")) forget((account) => account.open === 0);
      if (has("evicts open runs")) forget((account) => account.open > 0);
    };
    const fresh = (): Account => ({ use: unused, open: 0, touchedMs: clock.monotonicMs() });
    const accountOf = (run: string): Account | undefined => {
      const known = accounts.get(nameOf(run));
      if (known !== undefined) return known;
      if (accounts.size >= maxRuns) makeRoom();
      if (accounts.size >= maxRuns) return undefined;
      const account = fresh();
      accounts.set(nameOf(run), account);
      return account;
    };
    let latest: ((use: BudgetUse) => void) | undefined;

    const store: BudgetStore = {
      reserve(run, given, asked) {
        const named = has("no run is one run") ? (run ?? "undefined") : run;
        const account = named === undefined ? fresh() : accountOf(named);
        if (account === undefined) return "unavailable";
        const reply = reserveOn(account, run, given, asked);
        return has("answers later") ? (Promise.resolve(reply) as never) : reply;
      },
      use(run) {
        const account = accounts.get(nameOf(run));
        if (account === undefined && has("unknown run throws")) throw new Error("unknown run");
        return account?.use ?? unused;
      },
      restore(run, use) {
        const account = accountOf(run);
        if (account === undefined || has("restore does nothing")) return;
        account.use = has("restore adds a call") ? { ...use, calls: use.calls + 1 } : use;
      },
      end(run) {
        if (!has("end does nothing")) accounts.delete(nameOf(run));
      },
    };

    function reserveOn(
      account: Account,
      run: string | undefined,
      given: BudgetCaps,
      asked: BudgetAsk,
    ): BudgetReply {
      account.touchedMs = clock.monotonicMs();
      firstCaps ??= given;
      const believed = has("caps are those of the first call")
        ? firstCaps
        : withoutNothing(given, has("a cap of nothing is none"));
      const believedCaps = {
        calls:
          believed.calls === undefined
            ? undefined
            : believed.calls + (has("one call too many") ? 1 : 0),
        tokens: has("tokens are not capped") ? undefined : believed.tokens,
        costNanoUsd:
          has("money is not capped") || (has("unpriced costs nothing") && !asked.price)
            ? undefined
            : believed.costNanoUsd,
      };
      const ask = {
        ...asked,
        inputTokens: has("prompt is not set aside") ? 0 : asked.inputTokens,
        minOutputTokens: has("output is never lowered")
          ? asked.outputTokens
          : asked.minOutputTokens,
      };
      const reply = reserve(account.use, believedCaps, ask);
      if ("refused" in reply) {
        if (has("refused counts a call")) account.use = add(account.use, { ...unused, calls: 1 });
        return { granted: false, reason: has("wrong reason") ? "TRIPPED" : reply.refused };
      }
      const { reserved } = reply;
      account.use = add(account.use, reserved);
      account.open += 1;
      let open = true;
      const endWith = (use: BudgetUse): void => {
        if (open) account.open -= 1;
        open = false;
        account.use = use;
        const now = run === undefined ? undefined : accounts.get(nameOf(run));
        if (has("end lets old reservations in") && now !== undefined) now.use = use;
      };
      const before = latest;
      if (has("ends the latest")) latest = endWith;
      const ending = has("ends the latest") ? (before ?? endWith) : endWith;
      return {
        granted: true,
        reservation: {
          inputTokens: reserved.inputTokens,
          outputTokens: reserved.outputTokens,
          costNanoUsd: reserved.costNanoUsd,
          settle(usage) {
            if (!open && !has("settles every time")) return;
            if (has("settles at the reservation")) ending(account.use);
            else if (has("settles at nothing") || (has("missing usage is free") && !usage)) {
              ending(settle(account.use, reserved, { inputTokens: 0, outputTokens: 0 }));
            } else if (has("believes any usage") && usage !== undefined) {
              const { inputTokens, outputTokens } = usage;
              const tokens = account.use.tokens - reserved.tokens + inputTokens + outputTokens;
              ending({ ...settle(account.use, reserved, usage), tokens });
            } else ending(settle(account.use, reserved, usage));
          },
          void() {
            if (!open && !has("voids every time")) return;
            const calls = has("void keeps the call") ? 0 : reserved.calls;
            if (has("void gives nothing back")) ending(account.use);
            else ending(giveBack(account.use, { ...reserved, calls }));
          },
          further(moreCaps, moreAsk) {
            if (has("further ones are a run of their own")) {
              return store.reserve(undefined, moreCaps, moreAsk);
            }
            const caps = has("further ones keep the caps") ? given : moreCaps;
            return reserveOn(account, run, caps, moreAsk);
          },
        },
      };
    }
    return store;
  };
}

describePlantedFaults({
  name: "the suite of budgets of runs",
  checks: budgetChecks(runBudgets(planted())),
  faults,
  planted: (fault) => runBudgets(planted(fault)),
});

/** The same, kept where an answer takes a while and an ending is counted later. */
function remote(fault?: (typeof budgetFaults)[number]): BudgetHarness {
  const { open } = runBudgets(planted(fault));
  return {
    leastCap: 1,
    async open() {
      const budgets = await open();
      const waiting: (() => void)[] = [];
      const later = (reservation: SharedReservation): SharedReservation => ({
        ...reservation,
        settle: (usage) => void waiting.push(() => reservation.settle(usage)),
        void: () => void waiting.push(() => reservation.void()),
        further: async (ask) => toLater(await reservation.further(ask)),
      });
      const toLater = (reply: SharedReply | "unavailable"): SharedReply | "unavailable" =>
        reply === "unavailable" || !reply.granted
          ? reply
          : { granted: true, reservation: later(reply.reservation) };
      return {
        reserve: async (...what) => toLater(await budgets.reserve(...what)),
        use: async (name) => budgets.use(name),
        async flush() {
          for (const end of waiting.splice(0)) end();
        },
        close: () => budgets.close(),
      };
    },
  };
}

describePlantedFaults({
  name: "the suite of budgets that are elsewhere",
  checks: budgetChecks(remote()),
  faults: budgetFaults,
  planted: remote,
});
