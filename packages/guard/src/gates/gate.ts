import type {
  AdmissionReply,
  BudgetReservation,
  GateMode,
  GateName,
  GuardRequest,
  Hold,
  OnIndeterminate,
  Reason,
  SharedReservation,
  SkippedCandidate,
  Verdict,
} from "@sluice/contract";
import type { Shut } from "@sluice/policy";
import type { Candidate } from "../candidate.ts";
import type { Plan } from "../route.ts";
import type { CompiledFlags } from "../safety.ts";

/** What gates look at, and where they put what the execution needs from them. */
export interface GateContext<In> {
  readonly input: In;
  readonly request: GuardRequest;
  readonly flags: CompiledFlags;
  /** Why nobody may pass, when the request came. */
  readonly shut: Shut | undefined;
  /** The allowlist's mode `include` took the subject in: the percentage is not asked. */
  included: boolean;
  readonly holds: Hold[];
  /** Whom the request may be sent to; made when it is first asked for. */
  readonly plan: () => Plan<In>;
  /** Candidates that the circuit breaker's gate passed over. */
  readonly skipped: SkippedCandidate[];
  /** What the budget's gate set aside, and for whom. */
  reserved:
    | { readonly candidate: Candidate<In>; readonly reservation: BudgetReservation }
    | undefined;
  /** What shared budgets set aside in the admission store, and for whom. */
  shared:
    | { readonly candidate: Candidate<In>; readonly reservation: SharedReservation }
    | undefined;
  /** What an enforcing admission answered. */
  admission: AdmissionReply | undefined;
  /** Whom the circuit breaker's gate gave a permit for, and its place in the plan. */
  permit: { readonly candidate: Candidate<In>; readonly index: number } | undefined;
}

/** One check. It never calls the executor and never calls the next gate. */
export interface Gate<In> {
  readonly name: GateName;
  readonly mode: GateMode;
  readonly onIndeterminate: OnIndeterminate;
  /** How this request obeys the gate, where it brings a setting of its own. */
  settingOf?(context: GateContext<In>): GateSetting;
  /** The reason given when the gate itself fails. */
  readonly reason: Reason;
  /** Its configuration in few words, for `describe()`. */
  readonly detail: string;
  check(context: GateContext<In>): Verdict | Promise<Verdict>;
}

export interface GateSetting {
  readonly mode: GateMode;
  readonly onIndeterminate: OnIndeterminate;
}

export const allow: Verdict = { effect: "allow" };
