import type {
  AdmissionAsk,
  AdmissionDimension,
  BudgetCaps,
  GateMode,
  Reason,
} from "@sluice/contract";

/** Every dimension has a limit, so that no trace leaves one out; its mode may be off. */
export interface ModelLimits {
  readonly userInFlight: { readonly limit: number; readonly mode: GateMode };
  readonly globalInFlight: { readonly limit: number; readonly mode: GateMode };
  readonly messageRate: {
    readonly count: number;
    readonly perMs: number;
    readonly burst: number;
    readonly mode: GateMode;
  };
  readonly userBudget: BudgetCaps & { readonly mode: GateMode };
  readonly globalBudget: BudgetCaps & { readonly mode: GateMode };
}

export interface ModelProcess {
  readonly limits: ModelLimits;
  isAlive: boolean;
  /** Refusals of the rate that it may repeat without asking, by what was asked: until when, and the rate's own end. */
  readonly told: Map<string, { readonly untilMs: number; readonly freeAtMs: number }>;
}

/** One dimension's word on a request. */
export interface Word {
  readonly dimension: AdmissionDimension;
  readonly mode: GateMode;
  /** Why it has no room; undefined where it has. */
  readonly reason: Reason | undefined;
  /** Undefined where it is anybody's guess. */
  readonly waitMs: number | undefined;
}

/** What counts for a request. */
export function modeOf(
  limits: ModelLimits,
  modes: AdmissionAsk["modes"],
  dimension: AdmissionDimension,
): GateMode {
  const own = {
    user_in_flight: limits.userInFlight,
    global_in_flight: limits.globalInFlight,
    message_rate: limits.messageRate,
    user_budget: limits.userBudget,
    global_budget: limits.globalBudget,
  };
  return modes?.[dimension] ?? own[dimension].mode;
}
