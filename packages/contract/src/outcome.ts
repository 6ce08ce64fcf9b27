import type { Decision } from "./decision.ts";
import type { Failure, FailureCode } from "./failure.ts";
import type { Measures } from "./measures.ts";
import type { RouteStrategy, SkippedCandidate } from "./provider-config.ts";
import type { Reason } from "./reason.ts";
import type { ToolFailure } from "./tool.ts";
import type { Usage } from "./usage.ts";

/** One call of one provider. */
export interface AttemptRecord {
  readonly provider: string;
  readonly model?: string;
  /** Absent when the attempt succeeded. */
  readonly code?: FailureCode;
  readonly latencyMs: number;
  /** From the call to the first content; only of a stream that had any. */
  readonly firstContentMs?: number;
  readonly httpStatus?: number;
  readonly usage?: Usage;
  readonly costNanoUsd?: number;
}

/** One call of one tool. */
export interface ToolRecord {
  readonly tool: string;
  /** Absent when it ran to its end. */
  readonly code?: ToolFailure;
  /** In the queue, measured also where the queue only advises. */
  readonly waitMs: number;
  /** Running. */
  readonly latencyMs: number;
  /** What an enforced tool rate or queue would have refused. */
  readonly would?: Reason;
}

/** Numbers and codes of one request; no content. */
export interface OutcomeRecord {
  /** The request's own id where the application gave one, else the decision's. */
  readonly requestId: string;
  /** The provider that the request named; absent when it named none, or one that the route lacks. */
  readonly requestedProvider?: string;
  /** The route's choice for the first attempt. Absent when no provider was called. */
  readonly selectedProvider?: string;
  readonly routeStrategy?: RouteStrategy;
  /** The provider that stood in for the selected one. */
  readonly fallbackProvider?: string;
  /** Another provider, or the safe path, answered although the request had been allowed. */
  readonly fallbackUsed: boolean;
  readonly promptTemplateVersion?: string;
  /** From the start of the execution to the outcome. */
  readonly latencyMs: number;
  /** From the start of the execution to the first content that left the guard; only of a stream. */
  readonly firstContentMs?: number;
  readonly attempts: readonly AttemptRecord[];
  /** Candidates that were passed over, in that order. */
  readonly skipped: readonly SkippedCandidate[];
  readonly tools: readonly ToolRecord[];
  /** Of all attempts together, as told by the providers; absent when none told any. */
  readonly usage?: Usage;
  /** Real cost in nano-dollars; absent without usage or without a price. */
  readonly costNanoUsd?: number;
  readonly measures: Measures;
}

interface Base {
  readonly decision: Decision;
  readonly record: OutcomeRecord;
}

/**
 * How one request ended. `value` always parses under the contract; of the path `legacy`, which only a guard
 * for callers with a handler of their own takes, it is undefined.
 */
export type Outcome<Ok, Failed, Stub> = Base &
  (
    | { readonly status: "SUCCEEDED"; readonly path: "ai"; readonly value: Ok }
    | {
        readonly status: "STUBBED";
        /** `legacy`: the caller's own handler is to answer; there is no value. */
        readonly path: "stub" | "legacy";
        readonly value: Stub;
        readonly reason: Reason;
      }
    | {
        readonly status: "FAILED";
        /**
         * `stub`: the failure policy sent the request to the safe path, or the safe path itself failed.
         * `legacy`: it sent the request to the caller's own handler; there is no value.
         */
        readonly path: "ai" | "stub" | "legacy";
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
