import type { Price } from "../price.ts";
import type { Reason } from "../reason.ts";
import type { Usage } from "../usage.ts";

/** Caps of one run; an absent cap is no limit. */
export interface BudgetCaps {
  readonly calls?: number | undefined;
  /** Input and output tokens together. */
  readonly tokens?: number | undefined;
  readonly costNanoUsd?: number | undefined;
}

/** The worst case of one call. */
export interface BudgetAsk {
  /** Upper bound of the prompt. */
  readonly inputTokens: number;
  /** The most output the call may use. */
  readonly outputTokens: number;
  /** The least output that is still useful; below it the ask is refused. */
  readonly minOutputTokens: number;
  readonly price: Price | undefined;
}

/** What a run has used: settled and reserved together. */
export interface BudgetUse {
  readonly calls: number;
  readonly tokens: number;
  readonly costNanoUsd: number;
}

export interface BudgetReservation {
  /** At most what was asked for; less where less was left. */
  readonly outputTokens: number;
  readonly inputTokens: number;
  readonly costNanoUsd: number;
  /** Charges real usage; without usage the reservation stays charged whole. Only the first ending counts. */
  settle(usage: Usage | undefined): void;
  /** Gives everything back, the call included. */
  void(): void;
  /**
   * Sets aside another call's worst case on the same run, whether or not this one has ended: how a request
   * without a run, which is a run of its own, is held to its caps over several calls.
   */
  further(caps: BudgetCaps, ask: BudgetAsk): BudgetReply | "unavailable";
}

export type BudgetReply =
  | { readonly granted: true; readonly reservation: BudgetReservation }
  | { readonly granted: false; readonly reason: Reason };

/** Budgets of runs. Settled plus reserved never exceeds a cap, whatever the interleaving. */
export interface BudgetStore {
  /** Reserves on the run's budget; a request without a run is a run of its own. */
  reserve(run: string | undefined, caps: BudgetCaps, ask: BudgetAsk): BudgetReply | "unavailable";
  use(run: string): BudgetUse;
  /**
   * Sets what a run had used before this process; for a run that goes on after a restart.
   * @throws ConfigError for figures that are no counts, or a run that can't be set now: what is not
   * restored would be spent twice
   */
  restore(run: string, use: BudgetUse): void;
  /** Forgets a run that is over. */
  end(run: string): void;
}
