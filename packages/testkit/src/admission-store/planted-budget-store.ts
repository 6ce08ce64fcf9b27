import {
  Reason,
  type AdmissionAsk,
  type AdmissionDimension,
  type AdmissionReply,
  type AdmissionStore,
  type BudgetAsk,
  type BudgetUse,
  type Clock,
  type SharedReply,
  type SharedReservation,
} from "@sluice/contract";
import {
  add,
  admit,
  dayTeller,
  giveBack,
  reserve,
  settle,
  unused,
  type AdmissionLimits,
  type Day,
  type Reserved,
} from "@sluice/policy";
import type { AdmissionStoreOptions, CreateAdmissionStore } from "./bench.ts";
import type { BudgetFault } from "./planted-budget-faults.ts";
import { plantedStates } from "./planted-budget-states.ts";

interface Account {
  use: BudgetUse;
}

interface Asked {
  readonly dimension: "user_budget" | "global_budget";
  readonly mode: "off" | "shadow" | "enforce";
  readonly account: Account;
  readonly answer: ReturnType<typeof reserve>;
}

const isRefused = (one: Asked): boolean => "refused" in one.answer;

/** A plain store, right but for one planted fault. */
export function plantedBudgetStore(fault?: BudgetFault): CreateAdmissionStore {
  const has = (one: BudgetFault): boolean => fault === one;
  return (options, clock) => {
    const accounts = new Map<string, Account>();
    const limits = limitsOf(options);
    let leases: { readonly subject: string; readonly endsMs: number }[] = [];
    let tatMs = 0;
    let latest: (() => void) | undefined;
    let seenDay = "";

    const today = dayOf(options, clock, fault);
    const accountOf = (name: string): Account => {
      const account = accounts.get(name) ?? { use: unused };
      accounts.set(name, account);
      return account;
    };
    const keyOf = (dimension: Asked["dimension"], subject: string, day: Day): string => {
      const isOwn = dimension === "user_budget" && !has("subjects share their budget");
      const isEach = isOwn || has("each subject has the budget of all");
      return `${day.name} ${dimension} ${isEach ? subject : ""}`;
    };
    const forget = (day: Day): void => {
      const isOver = (name: string): boolean =>
        (has("forgets the day before") && name < day.name) ||
        (has("forgets the day to come") && name.slice(0, 10) > day.name);
      for (const name of accounts.keys()) if (isOver(name)) accounts.delete(name);
    };

    const modeOf = (
      dimension: AdmissionDimension,
      given: Asked["mode"] | undefined,
      ask: AdmissionAsk | undefined,
    ): Asked["mode"] => {
      const own = given ?? (has("mode defaults to shadow") ? "shadow" : "enforce");
      const mode = has("modes of a request are not taken") ? own : (ask?.modes?.[dimension] ?? own);
      const isForced =
        (mode === "shadow" && has("shadow refuses")) || (mode === "off" && has("off refuses"));
      return isForced ? "enforce" : mode === "off" && has("off says something") ? "shadow" : mode;
    };

    const askBudgets = (
      subject: string,
      budget: BudgetAsk,
      ask: AdmissionAsk | undefined,
      day: Day,
    ): readonly Asked[] => {
      const asked: Asked[] = [];
      for (const [dimension, caps] of [
        ["user_budget", options.userBudget],
        ["global_budget", options.globalBudget],
      ] as const) {
        if (caps === undefined) continue;
        const account = accountOf(keyOf(dimension, subject, day));
        const isFree =
          has("money is not capped") ||
          (has("what has no price costs nothing") && budget.price === undefined);
        const believed = {
          ...caps,
          ...(isFree && { costNanoUsd: undefined }),
          ...(has("one call too many") && caps.calls !== undefined && { calls: caps.calls + 1 }),
        };
        const call = {
          ...budget,
          ...(has("the prompt is not set aside") && { inputTokens: 0 }),
          ...(has("output is never lowered") && { minOutputTokens: budget.outputTokens }),
          ...(has("output is lowered under the least") && { minOutputTokens: 0 }),
        };
        const answer = reserve(account.use, believed, call);
        asked.push({ dimension, mode: modeOf(dimension, caps.mode, ask), account, answer });
      }
      return asked;
    };

    const take = (
      subject: string,
      budget: BudgetAsk,
      ask: AdmissionAsk | undefined,
      asked: readonly Asked[],
      day: Day,
      isFurther: boolean,
    ): SharedReservation => {
      let { outputTokens } = budget;
      for (const { answer, mode } of asked) {
        if ("refused" in answer || (mode !== "enforce" && !has("shadow lowers"))) continue;
        const { outputTokens: its } = answer.reserved;
        outputTokens = has("grants by the last budget alone") ? its : Math.min(outputTokens, its);
      }
      const parts: { readonly account: Account; readonly reserved: Reserved; key: string }[] = [];
      for (const { answer, account, dimension } of asked) {
        const chargesAll =
          has("shadow charges what it would have refused") ||
          (isFurther && has("shadow charges further ones that it would have refused"));
        if ("refused" in answer && !chargesAll) continue;
        const fits = "refused" in answer ? outputTokens : answer.reserved.outputTokens;
        const output = has("charges what was asked for")
          ? budget.outputTokens
          : Math.min(outputTokens, fits);
        const whole = reserve(unused, {}, { ...budget, outputTokens: output });
        if ("refused" in whole) throw new Error("no caps refuse nothing");
        const inputTokens = has("the prompt is not set aside") ? 0 : budget.inputTokens;
        const reserved = { ...whole.reserved, tokens: inputTokens + output };
        account.use = add(account.use, reserved);
        parts.push({ account, reserved, key: dimension });
      }
      const priced = reserve(unused, {}, { ...budget, outputTokens });
      let isOpen = true;
      const endEach = (how: (use: BudgetUse, reserved: Reserved) => BudgetUse): void => {
        if (!isOpen && !has("ends every time")) return;
        isOpen = false;
        for (const { account, reserved, key } of parts) {
          const on = has("settles on the day of the settlement")
            ? accountOf(keyOf(key as Asked["dimension"], subject, today()))
            : account;
          on.use = how(on.use, reserved);
        }
      };
      const voidAll = (): void =>
        endEach((use, reserved) =>
          has("void gives nothing back")
            ? use
            : giveBack(use, { ...reserved, calls: has("void keeps the call") ? 0 : 1 }),
        );
      const before = latest;
      latest = voidAll;
      return {
        inputTokens: budget.inputTokens,
        outputTokens,
        costNanoUsd: "refused" in priced ? 0 : priced.reserved.costNanoUsd,
        settle(usage) {
          endEach((use, reserved) => {
            if (has("settles at the worst case")) return use;
            const isFree =
              has("settles at nothing") || (has("missing usage is free") && usage === undefined);
            if (isFree) return settle(use, reserved, { inputTokens: 0, outputTokens: 0 });
            const after = settle(use, reserved, usage);
            if (usage !== undefined && has("believes any usage")) {
              const told = usage.inputTokens + usage.outputTokens;
              return { ...after, tokens: use.tokens - reserved.tokens + told };
            }
            if (has("settlement gives the call back")) return { ...after, calls: after.calls - 1 };
            if (!has("usage beyond is cut off")) return after;
            return { ...after, tokens: Math.min(use.tokens, after.tokens) };
          });
        },
        void: () => (has("ends the latest") ? (before ?? voidAll)() : voidAll()),
        further(more) {
          const on = has("further ones stay on the day of the first") ? day : today();
          const whose = has("further ones have a ledger of their own") ? "nobody" : subject;
          const onDay = has("further ones have a ledger of their own")
            ? { ...on, name: "further" }
            : on;
          const by = has("further ones forget the modes") ? undefined : ask;
          if (has("further ones take a place")) leases.push({ subject, endsMs: Infinity });
          const isFull = leases.length > (options.userInFlight?.limit ?? Infinity);
          const answered = askBudgets(whose, more, by, onDay);
          const decide = (): SharedReply => {
            const refused = answered.find((one) => one.mode === "enforce" && isRefused(one));
            if (isFull) return { granted: false, reason: Reason.USER_IN_FLIGHT };
            if (refused !== undefined && "refused" in refused.answer) {
              return { granted: false, reason: refused.answer.refused };
            }
            return { granted: true, reservation: take(whose, more, by, answered, onDay, true) };
          };
          if (!has("further ones look first and take later")) return decide();
          return Promise.resolve().then(decide);
        },
      };
    };

    const statesOf = (subject: string, day: Day, ask: AdmissionAsk | undefined) =>
      plantedStates(
        { options, clock, fault, tatMs, leases, day, subject },
        (dimension) => accountOf(keyOf(dimension, subject, day)).use,
      ).map((state) => ({
        ...state,
        mode: has("states tell the store's own modes")
          ? state.mode
          : (ask?.modes?.[state.dimension] ?? state.mode),
      }));

    const store: AdmissionStore = {
      name: "planted",
      leaseMs: options.leaseMs,
      countsBudgets:
        (options.userBudget ?? options.globalBudget) !== undefined &&
        !has("says nothing of budgets"),
      countsCost:
        (options.userBudget?.costNanoUsd ?? options.globalBudget?.costNanoUsd) !== undefined &&
        !has("says nothing of money"),
      acquire(subject, given) {
        const nowMs = clock.monotonicMs();
        const day = today();
        if (day.name !== seenDay) forget(day);
        seenDay = day.name;
        leases = leases.filter(({ endsMs }) => endsMs > nowMs);
        const user = leases.filter((lease) => lease.subject === subject).length;
        const verdict = admit({ user, global: leases.length, tatMs }, limits, nowMs);
        const noCall = { inputTokens: 1, outputTokens: 0, minOutputTokens: 0, price: undefined };
        const budget = has("a request without a call is charged")
          ? (given?.budget ?? noCall)
          : given?.budget;
        const before = statesOf(subject, day, given);
        const asked = budget === undefined ? [] : askBudgets(subject, budget, given, day);
        const decide = (): AdmissionReply => {
          const refusing = asked.filter((one) => one.mode === "enforce" && isRefused(one));
          const wouldRefuse = asked.flatMap(({ mode, answer }) =>
            mode === "shadow" && "refused" in answer && !has("shadow says nothing")
              ? [answer.refused]
              : [],
          );
          const [first] = refusing;
          if (verdict.refused !== undefined || first !== undefined) {
            if (has("refused is charged") && budget)
              take(subject, budget, given, asked, day, false);
            if (has("refused by a budget takes a place")) {
              leases.push({ subject, endsMs: nowMs + options.leaseMs });
            }
            const its = first && "refused" in first.answer ? first.answer.refused : undefined;
            const untilMs = day.endsMs - clock.wallMs();
            const reason = has("one reason for all caps") ? Reason.BUDGET_TOKENS : its;
            return {
              admitted: false,
              reason: reason ?? verdict.refused?.reason ?? Reason.STORE_UNAVAILABLE,
              retryAfterMs: has("retry time is a guess") ? 1000 : untilMs,
              wouldRefuse: has("refusal forgets the shadow") ? [] : wouldRefuse,
              violated: has("names no budget")
                ? []
                : [...verdict.violated, ...refusing.map(({ dimension }) => dimension)],
              states: before,
            };
          }
          ({ tatMs } = verdict);
          const lease = { subject, endsMs: nowMs + options.leaseMs };
          leases.push(lease);
          const reservation = budget && take(subject, budget, given, asked, day, false);
          const after = has("states of before") ? before : statesOf(subject, day, given);
          return {
            admitted: true,
            lease: {
              release() {
                leases = leases.filter((one) => one !== lease);
                if (has("release gives the budget back")) reservation?.void();
              },
              renew: () => undefined,
            },
            reservation: asked.length > 0 ? reservation : undefined,
            wouldRefuse,
            get states() {
              return has("states are read late") ? statesOf(subject, day, given) : after;
            },
          };
        };
        if (!has("looks first and takes later")) return decide();
        return Promise.resolve().then(decide);
      },
      describe: () =>
        (["userBudget", "globalBudget"] as const).flatMap((name) => {
          const budget = options[name];
          if (budget === undefined || has("describes nothing")) return [];
          const { mode = "enforce", ...caps } = budget;
          return [`${name} ${Object.values(caps).join(" ")} ${options.timeZone} ${mode}`];
        }),
      apart() {
        if (has("a store apart counts along")) return store;
        return plainStore(has("a store apart has no budgets") ? { leaseMs: 1000 } : options, clock);
      },
      close: () => undefined,
    };
    return { store };
  };
}

function plainStore(options: AdmissionStoreOptions, clock: Clock): AdmissionStore {
  const harness = plantedBudgetStore()(options, clock);
  if (harness instanceof Promise) throw new Error("a plain store is there at once");
  return harness.store;
}

/** What day it is, by the store's clock. */
function dayOf(
  { timeZone = "UTC" }: AdmissionStoreOptions,
  clock: Clock,
  fault: BudgetFault | undefined,
): () => Day {
  const tell = dayTeller(fault === "every day is of UTC" ? "UTC" : timeZone);
  const first = tell(clock.wallMs());
  return () => {
    if (fault === "days never end") return first;
    const day = tell(clock.wallMs());
    if (fault !== "days have 24 hours") return day;
    const startsMs = Date.parse(`${day.name}T00:00:00Z`);
    return { name: day.name, endsMs: day.endsMs - ((day.endsMs - startsMs) % 86_400_000) };
  };
}

function limitsOf({ userInFlight, globalInFlight, messageRate }: AdmissionStoreOptions) {
  const mode = "enforce" as const;
  const limits: AdmissionLimits = {
    userInFlight: userInFlight && { mode, ...userInFlight },
    globalInFlight: globalInFlight && { mode, ...globalInFlight },
    messageRate: messageRate && { mode, ...messageRate },
  };
  return limits;
}
