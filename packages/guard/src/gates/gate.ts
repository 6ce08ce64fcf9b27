import type {
  BudgetReservation,
  BreakerPermit,
  GateMode,
  GateName,
  GuardRequest,
  Hold,
  OnIndeterminate,
  Reason,
  Verdict,
} from "@sluice/contract";
import type { Shut } from "@sluice/policy";
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
  reservation: BudgetReservation | undefined;
  permit: BreakerPermit | undefined;
}

/** One check. It never calls the executor and never calls the next gate. */
export interface Gate<In> {
  readonly name: GateName;
  readonly mode: GateMode;
  readonly onIndeterminate: OnIndeterminate;
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
