import type { Switches } from "./switches.ts";

/** Facts that allowlist rules look at besides the subject. Only own properties are read. */
export type Attributes = Readonly<Record<string, unknown>>;

/** Who asks, and on whose account. */
export interface GuardRequest {
  /**
   * Whom eligibility is decided for. From the application's own authentication, never from a client
   * header. A subject that is empty, holds NUL or a lone surrogate, or exceeds 1 KiB in UTF-8 is never
   * eligible.
   */
  readonly subject: string;
  readonly attributes?: Attributes | undefined;
  /** The batch or job run that shares caps; without it the request is its own run. */
  readonly run?: string | undefined;
  /** The application's own id of the request, for records: letters, digits, `_` and `-`, at most 64. */
  readonly requestId?: string | undefined;
  /** The provider asked for; obeyed only by a route with the strategy `requested`. */
  readonly provider?: string | undefined;
  /**
   * The chat gateway's switches as they stood for this request: they decide how admission's dimensions and
   * the tool rate are obeyed for it, and what a store that can't answer means. Without them the guard's
   * options and the store's own modes do.
   */
  readonly switches?: Switches | undefined;
  /** Aborted when the caller goes away. */
  readonly signal?: AbortSignal | undefined;
}
