import type { Decision } from "./decision.ts";
import type { Failure, FailureCode } from "./failure.ts";
import type { Measures } from "./measures.ts";
import type { Reason } from "./reason.ts";
import type { Usage } from "./usage.ts";

/** One call of one provider. */
export interface AttemptRecord {
  readonly provider: string;
  readonly model?: string;
  /** Absent when the attempt succeeded. */
  readonly code?: FailureCode;
  readonly latencyMs: number;
}

/** Numbers and codes of one request; no content. */
export interface OutcomeRecord {
  /** Absent when no provider was called. */
  readonly selectedProvider?: string;
  /** The safe path answered although the request had been allowed. */
  readonly fallbackUsed: boolean;
  /** From the start of the execution to the outcome. */
  readonly latencyMs: number;
  readonly attempts: readonly AttemptRecord[];
  /** As told by the provider; absent when it told none. */
  readonly usage?: Usage;
  /** Real cost in nano-dollars; absent without usage or without a price. */
  readonly costNanoUsd?: number;
  readonly measures: Measures;
}

interface Base {
  readonly decision: Decision;
  readonly record: OutcomeRecord;
}

/** How one request ended. `value` always parses under the contract. */
export type Outcome<Ok, Failed, Stub> = Base &
  (
    | { readonly status: "SUCCEEDED"; readonly path: "ai"; readonly value: Ok }
    | {
        readonly status: "STUBBED";
        readonly path: "stub";
        readonly value: Stub;
        readonly reason: Reason;
      }
    | {
        readonly status: "FAILED";
        /** `stub`: the failure policy sent the request to the safe path, or the safe path itself failed. */
        readonly path: "ai" | "stub";
        readonly value: Failed | Stub;
        readonly failure: Failure;
      }
    | {
        readonly status: "REJECTED";
        readonly path: "none";
        readonly reason: Reason;
        readonly retryAfterMs: number;
      }
  );
