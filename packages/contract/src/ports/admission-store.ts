import type { GateMode } from "../gate.ts";
import type { Reason } from "../reason.ts";
import type { Usage } from "../usage.ts";
import type { BudgetAsk } from "./budget-store.ts";

/** What capacity is counted in; each is off, in shadow or enforced by itself. */
export const admissionDimensions = [
  "user_in_flight",
  "global_in_flight",
  "message_rate",
  "user_budget",
  "global_budget",
] as const;
export type AdmissionDimension = (typeof admissionDimensions)[number];

/** What a request brings besides its subject. */
export interface AdmissionAsk {
  /** The worst case of its first call; a store with shared budgets sets it aside in the same trip. */
  readonly budget?: BudgetAsk | undefined;
  /** Modes that stand in for the store's own: switches change while the application runs. */
  readonly modes?: Readonly<Partial<Record<AdmissionDimension, GateMode>>> | undefined;
}

/** What shared budgets set aside for one call. */
export interface SharedReservation {
  /** At most what was asked for; less where less was left. */
  readonly outputTokens: number;
  readonly inputTokens: number;
  readonly costNanoUsd: number;
  /** Charges real usage; without usage the reservation stays charged whole. Only the first ending counts. */
  settle(usage: Usage | undefined): void;
  /** Gives everything back, the call included. */
  void(): void;
  /** Sets aside another call's worst case for the same request. */
  further(ask: BudgetAsk): SharedReply | "unavailable" | Promise<SharedReply | "unavailable">;
}

export type SharedReply =
  | { readonly granted: true; readonly reservation: SharedReservation }
  | { readonly granted: false; readonly reason: Reason };

/** One dimension as it stood for this subject at the answer, for headers and people. */
export interface AdmissionState {
  readonly dimension: AdmissionDimension;
  /** Absent: enforced. */
  readonly mode?: GateMode | undefined;
  /** What a budget's figures count; absent for other dimensions. */
  readonly unit?: "calls" | "tokens" | "nano_usd" | undefined;
  readonly limit: number;
  /** What is left; never under 0. */
  readonly remaining: number;
  /** Milliseconds until all of it is there again, as far as can be told. */
  readonly resetMs: number;
}

export interface AdmissionLease {
  /** Gives the slot back; only the first call counts. */
  release(): void;
  /** Extends the lease by its lease time, unless it was released or has expired. */
  renew(): void;
}

/** One answer for all dimensions: either every one of them took its share or none did. */
export type AdmissionReply =
  | {
      readonly admitted: true;
      readonly lease: AdmissionLease;
      /** What shared budgets set aside for the first call; absent without any. It may be less than asked for. */
      readonly reservation?: SharedReservation | undefined;
      /** Dimensions in shadow that would have refused. */
      readonly wouldRefuse: readonly Reason[];
      /**
       * Dimensions that have a limit, in the order of `admissionDimensions`, as they stood once this request had
       * taken its share. They may be worked out when they are read, and are those of the answer however late.
       */
      readonly states?: readonly AdmissionState[] | undefined;
    }
  | {
      readonly admitted: false;
      readonly reason: Reason;
      /** Milliseconds until another try can succeed. */
      readonly retryAfterMs: number;
      readonly wouldRefuse: readonly Reason[];
      /** Every dimension that refused. */
      readonly violated?: readonly AdmissionDimension[] | undefined;
      /** The same, as they stood when it was refused: it took nothing. */
      readonly states?: readonly AdmissionState[] | undefined;
    };

/** The answer to one tool call; it takes its share of the rate only where it is allowed. */
export type ToolRateReply =
  | {
      readonly allowed: true;
      /** Set where the rate is in shadow and would have refused. */
      readonly would?: Reason;
    }
  | {
      readonly allowed: false;
      readonly reason: Reason;
      /** Milliseconds until another try can succeed. */
      readonly retryAfterMs: number;
    };

/** Capacity: in-flight requests of a subject and of all, and the rates of messages and of tool calls. */
export interface AdmissionStore {
  readonly name: string;
  /** Milliseconds a lease lives without renewal. */
  readonly leaseMs: number;
  /** It holds budgets that requests share; a guard then says with each request what its call may cost. */
  readonly countsBudgets?: boolean | undefined;
  /** Such a budget is one of money: calls of a model without a price can't be counted, and are refused. */
  readonly countsCost?: boolean | undefined;
  /** Decides. A store in memory answers at once, a remote one with a promise; neither may throw. */
  acquire(
    subject: string,
    ask?: AdmissionAsk,
  ): AdmissionReply | "unavailable" | Promise<AdmissionReply | "unavailable">;
  /**
   * Decides on one tool call, when it is about to run: the rate of tool calls of all subjects together,
   * apart from the other dimensions. A store without it has no such rate. It may not throw.
   * @param mode stands in for the store's own
   */
  takeTool?(
    subject: string,
    mode?: GateMode,
  ): ToolRateReply | "unavailable" | Promise<ToolRateReply | "unavailable">;
  /**
   * A store with the same limits that counts apart from this one: what is decided there takes nothing here.
   * Whoever asks closes it. A store without it can't be imitated.
   */
  apart?(): AdmissionStore;
  /** Dimensions with their limits and modes, for people. */
  describe(): readonly string[];
  close(): void;
}
