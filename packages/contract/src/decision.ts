import type { GateName, TrailEntry } from "./gate.ts";
import type { Reason } from "./reason.ts";

/** What the chain says for one request. */
export interface Decision {
  readonly id: string;
  readonly feature: string;
  readonly effect: "allow" | "divert" | "reject";
  /** The gate that decided; absent when every gate allowed. */
  readonly gate?: GateName;
  readonly reason?: Reason;
  /** The verdicts in the order they were given, up to the deciding one. */
  readonly trail: readonly TrailEntry[];
  /** Version of the flags it was decided on, where their source has versions. */
  readonly flagVersion?: number;
  /** Only with `reject`: milliseconds until another try can succeed. */
  readonly retryAfterMs?: number;
  /** The feature is closed (disabled, killed, or 0 %): the only trace is the event `disabled_noop`. */
  readonly closed: boolean;
}
