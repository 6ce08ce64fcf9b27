import {
  admissionDimensions,
  ConfigError,
  Reason,
  type AdmissionAsk,
  type AdmissionDimension,
  type BudgetAsk,
  type BudgetCaps,
  type BudgetUse,
  type GateMode,
} from "@sluice/contract";
import { reserve } from "@sluice/policy";
import type { RedisAdmissionSettings } from "./admission-options.ts";
import type { Keys } from "./keys.ts";

interface Policy {
  readonly dimension: AdmissionDimension;
  readonly mode: GateMode;
  /** Only observed beside the dimension's own limit. */
  readonly isCandidate: boolean;
}

export interface InFlightPolicy extends Policy {
  readonly limit: number;
  /** Of one subject, or of all. */
  readonly scope: "user" | "global";
  readonly keyOf: (keys: Keys) => string;
}

export interface RatePolicy extends Policy {
  readonly emissionMs: number;
  readonly burst: number;
  readonly keyOf: (keys: Keys) => string;
}

export interface BudgetPolicy extends Policy {
  readonly caps: BudgetCaps;
  readonly scope: "user" | "global";
}

/** Every limit of a store, in the order in which scripts take them. */
export interface Policies {
  /** The first counts all that is in flight, whether limited or not. */
  readonly inFlight: readonly InFlightPolicy[];
  readonly rates: readonly RatePolicy[];
  readonly budgets: readonly BudgetPolicy[];
  /** Limits that each shard has a share of; undefined where each stands whole in the scripts. */
  readonly shares: SharedLimits | undefined;
}

/** What is split among shards. */
export interface SharedLimits {
  readonly places: number | undefined;
  /** A share of the burst is one of the count too: all earn theirs in the same time. */
  readonly rate: { readonly burst: number; readonly toleranceMs: number } | undefined;
}

/** Counts, and refuses nobody. */
export const noLimit = Number.MAX_SAFE_INTEGER;
const candidateSuffix = ":candidate";

/** @throws ConfigError for limits that can't be split among shards */
export function toPolicies(settings: RedisAdmissionSettings): Policies {
  const { userInFlight, globalInFlight, messageRate, userBudget, globalBudget } = settings;
  const inFlight: InFlightPolicy[] = [
    {
      dimension: "global_in_flight",
      scope: "global",
      limit: globalInFlight?.limit ?? noLimit,
      mode: globalInFlight?.mode ?? "off",
      isCandidate: false,
      keyOf: (keys) => keys.globalInFlight,
    },
  ];
  if (userInFlight !== undefined) {
    inFlight.push({
      dimension: "user_in_flight",
      scope: "user",
      limit: userInFlight.limit,
      mode: userInFlight.mode,
      isCandidate: false,
      keyOf: (keys) => keys.usersInFlight,
    });
  }
  if (globalInFlight?.candidate !== undefined) {
    inFlight.push({
      dimension: "global_in_flight",
      scope: "global",
      limit: globalInFlight.candidate,
      mode: "shadow",
      isCandidate: true,
      keyOf: (keys) => keys.globalInFlight + candidateSuffix,
    });
  }
  if (userInFlight?.candidate !== undefined) {
    inFlight.push({
      dimension: "user_in_flight",
      scope: "user",
      limit: userInFlight.candidate,
      mode: "shadow",
      isCandidate: true,
      keyOf: (keys) => keys.usersInFlight + candidateSuffix,
    });
  }
  const rates: RatePolicy[] = [];
  if (messageRate !== undefined) {
    rates.push(toRate(messageRate, messageRate.mode, ""));
    const { candidate } = messageRate;
    if (candidate !== undefined) rates.push(toRate(candidate, "shadow", candidateSuffix));
  }
  const budgets: BudgetPolicy[] = [];
  if (userBudget !== undefined) {
    budgets.push({
      dimension: "user_budget",
      scope: "user",
      caps: userBudget,
      mode: userBudget.mode,
      isCandidate: false,
    });
  }
  if (globalBudget !== undefined) {
    budgets.push({
      dimension: "global_budget",
      scope: "global",
      caps: globalBudget,
      mode: globalBudget.mode,
      isCandidate: false,
    });
  }
  return { inFlight, rates, budgets, shares: toShares(settings) };
}

/** @throws ConfigError for what can't be split */
function toShares(settings: RedisAdmissionSettings): SharedLimits | undefined {
  const { shards, globalBudget, globalInFlight, messageRate } = settings;
  if (shards === undefined) return undefined;
  if (globalBudget !== undefined) {
    throw new ConfigError({
      option: "redisAdmission.shards",
      got: "shards with globalBudget",
      expected: "one of them: a budget of all subjects is not split among shards",
    });
  }
  if ((globalInFlight ?? messageRate) === undefined) return undefined;
  const { count = 1, perMs = 1, burst = count } = messageRate ?? {};
  const places = globalInFlight?.limit;
  for (const [option, limit] of [
    ["globalInFlight.limit", places],
    ["messageRate.burst", messageRate && burst],
  ] as const) {
    if (limit === undefined || limit >= shards.count) continue;
    throw new ConfigError({
      option: `redisAdmission.${option}`,
      got: String(limit),
      expected: `at least ${shards.count}, one for each of shards.count`,
    });
  }
  return { places, rate: messageRate && { burst, toleranceMs: (perMs / count) * burst } };
}

function toRate(
  rate: { readonly count: number; readonly perMs: number; readonly burst?: number | undefined },
  mode: GateMode,
  suffix: string,
): RatePolicy {
  return {
    dimension: "message_rate",
    mode,
    isCandidate: suffix !== "",
    emissionMs: rate.perMs / rate.count,
    burst: rate.burst ?? rate.count,
    keyOf: (keys) => keys.messageRate + suffix,
  };
}

/** A policy's mode for one request; a candidate is only ever observed. */
export function modeOf(policy: Policy, ask: AdmissionAsk | undefined): GateMode {
  return policy.isCandidate ? policy.mode : (ask?.modes?.[policy.dimension] ?? policy.mode);
}

/** Whether some dimension is looked at without being enforced, for such a request. */
export function isObserved(
  { inFlight, rates, budgets }: Policies,
  ask: AdmissionAsk | undefined,
): boolean {
  const isShadow = (policy: Policy): boolean => modeOf(policy, ask) === "shadow";
  return (
    inFlight.some(isShadow) ||
    rates.some(isShadow) ||
    (ask?.budget !== undefined && budgets.some(isShadow))
  );
}

/** One name for asks of the same modes. */
export function modesName(ask: AdmissionAsk | undefined): string {
  const modes = ask?.modes;
  if (modes === undefined) return "";
  return admissionDimensions.map((dimension) => modes[dimension] ?? "-").join(" ");
}

/** As scripts take it. */
export const modeNumbers: Readonly<Record<GateMode, number>> = { off: 0, shadow: 1, enforce: 2 };

/** The reason that a dimension refuses for; of a budget the first cap that leaves too little for the call. */
export function reasonOf(policy: Policy, used: BudgetUse, call: BudgetAsk | undefined): Reason {
  switch (policy.dimension) {
    case "user_in_flight":
      return Reason.USER_IN_FLIGHT;
    case "global_in_flight":
      return Reason.GLOBAL_IN_FLIGHT;
    case "message_rate":
      return Reason.MESSAGE_RATE;
    case "user_budget":
    case "global_budget": {
      const asked = call && reserve(used, (policy as BudgetPolicy).caps, call);
      return asked && "refused" in asked ? asked.refused : Reason.BUDGET_TOKENS;
    }
  }
}
