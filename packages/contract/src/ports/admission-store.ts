import type { Reason } from "../reason.ts";

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
      /** Dimensions in shadow that would have refused. */
      readonly wouldRefuse: readonly Reason[];
    }
  | {
      readonly admitted: false;
      readonly reason: Reason;
      /** Milliseconds until another try can succeed. */
      readonly retryAfterMs: number;
      readonly wouldRefuse: readonly Reason[];
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
  /** Decides. A store in memory answers at once, a remote one with a promise; neither may throw. */
  acquire(
    subject: string,
  ): AdmissionReply | "unavailable" | Promise<AdmissionReply | "unavailable">;
  /**
   * Decides on one tool call, when it is about to run: the rate of tool calls of all subjects together,
   * apart from the other dimensions. A store without it has no such rate. It may not throw.
   */
  takeTool?(
    subject: string,
  ): ToolRateReply | "unavailable" | Promise<ToolRateReply | "unavailable">;
  /** Dimensions with their limits and modes, for people. */
  describe(): readonly string[];
  close(): void;
}
