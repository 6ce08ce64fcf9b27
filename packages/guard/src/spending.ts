import {
  ConfigError,
  Reason,
  type BudgetReservation,
  type Clock,
  type Provider,
  type ProviderAsk,
} from "@sluice/contract";
import { dayTeller } from "@sluice/policy";
import { least, type HoldsReply, type HoldTaker } from "./attempt-holds.ts";
import type { Candidate } from "./candidate.ts";
import type { GuardSettings } from "./guard-settings.ts";
import { reservationHold } from "./reservations.ts";
import type { ShadowOptions } from "./shadow-options.ts";
import { memoryBudgets } from "./stores/memory-budgets.ts";
import type { Work } from "./work.ts";

/** Sets the worst case of a call aside; undefined where it can't be made for its money. */
export type Spend<In> = (
  candidate: Candidate<In>,
  ask: ProviderAsk<In>,
) => BudgetReservation | undefined;

/** The day under way, the one before while its calls end, and room for a clock that is set. */
const daysHeld = 8;

/**
 * The money that a shadow's calls may cost in a day; undefined without a cap.
 * @throws ConfigError where the worst case of a call can't be counted
 */
export function createSpending<In>(parts: {
  readonly options: ShadowOptions;
  readonly settings: GuardSettings;
  readonly providers: readonly Provider<In>[];
  readonly clock: Clock;
}): Spend<In> | undefined {
  const { options, settings, providers, clock } = parts;
  const { costNanoUsdPerDay } = options;
  if (costNanoUsdPerDay === undefined) return undefined;
  const outputTokens = options.maxOutputTokens ?? settings.budget?.maxOutputTokens;
  if (outputTokens === undefined) {
    throw fault("shadow.maxOutputTokens", "nothing", "a cap of a call's output");
  }
  assertCountable(settings, providers);
  const days = memoryBudgets({ clock, maxRuns: daysHeld });
  const dayOf = dayTeller("UTC");

  return ({ provider, price }, ask) => {
    const inputTokens = provider.inputTokens?.(ask) ?? Number.NaN;
    // What can't be counted is not called: a model without a price, a prompt of no length.
    if (price === undefined || !Number.isSafeInteger(inputTokens) || inputTokens < 0) {
      return undefined;
    }
    // Never with less output than it may have: an answer cut short would compare as a bad one.
    const worst = { inputTokens, outputTokens, minOutputTokens: outputTokens, price };
    const { name } = dayOf(clock.wallMs());
    const reply = days.reserve(name, { costNanoUsd: costNanoUsdPerDay }, worst);
    return reply !== "unavailable" && reply.granted ? reply.reservation : undefined;
  };
}

/** Takes for each attempt its money too. */
export function spendingTaker<In>(
  taker: HoldTaker<In>,
  spend: Spend<In> | undefined,
  /** A prompt's counter threw. */
  onThrow: () => void,
): HoldTaker<In> {
  if (spend === undefined) return taker;

  const trySpend: Spend<In> = (candidate, ask) => {
    try {
      return spend(candidate, ask);
    } catch {
      onThrow();
      return undefined;
    }
  };
  const join = (
    work: Work<In>,
    candidate: Candidate<In>,
    ask: ProviderAsk<In>,
    taken: HoldsReply,
  ): HoldsReply => {
    if (!("holds" in taken)) return taken;
    const money = trySpend(candidate, ask);
    if (money === undefined) {
      work.release(taken.holds, { how: "void" });
      return { refused: Reason.BUDGET_COST };
    }
    return {
      holds: [...taken.holds, reservationHold(money)],
      reservation: least(taken.reservation, money),
    };
  };

  return {
    isCallable: (candidate) => taker.isCallable(candidate),
    first(work, candidate, ask) {
      const taking = taker.first(work, candidate, ask);
      return taking instanceof Promise
        ? taking.then((taken) => join(work, candidate, ask, taken))
        : join(work, candidate, ask, taking);
    },
    further(work, candidate, ask, waited) {
      const taking = taker.further(work, candidate, ask, waited);
      return taking instanceof Promise
        ? taking.then((taken) => join(work, candidate, ask, taken))
        : join(work, candidate, ask, taking);
    },
  };
}

function assertCountable<In>(settings: GuardSettings, providers: readonly Provider<In>[]): void {
  const { prices = {}, route } = settings;
  for (const provider of providers) {
    const { name, model } = provider;
    if (provider.inputTokens === undefined) {
      throw fault("createGuard.provider", `${name} without inputTokens`, "one with it");
    }
    // The models of a route may change; one without a price is not called.
    const isPriced = model !== undefined && prices[model] !== undefined;
    if (route === undefined && !isPriced) {
      throw fault("createGuard.prices", `no price for the model of ${name}`, "one");
    }
  }
}

function fault(option: string, got: string, expected: string): ConfigError {
  return new ConfigError({
    option,
    got,
    expected: `${expected}, because shadow.costNanoUsdPerDay is set`,
  });
}
