import type { GateName, TrailEntry } from "./gate.ts";
import type { AdmissionDimension, AdmissionState } from "./ports/admission-store.ts";
import type { Reason } from "./reason.ts";

/** What admission counted when it answered: for the headers of a response, in no event. */
export interface AdmissionFigures {
  /** Every dimension that refused; absent where none did, or where the store does not say. */
  readonly violated?: readonly AdmissionDimension[] | undefined;
  /** It may be computed each time that it is read. */
  readonly states?: readonly AdmissionState[] | undefined;
}

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
  /** Present once an enforcing admission has answered. */
  readonly admission?: AdmissionFigures | undefined;
}
