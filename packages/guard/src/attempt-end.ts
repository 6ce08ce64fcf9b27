import { FailureCode, type ProviderReply, type Reason, type Usage } from "@sluice/contract";

/** Why running work is stopped. */
export type StopCause =
  | { readonly kind: "shut"; readonly reason: Reason }
  /** The attempt's time, the request's, or the time to the first content is up. */
  | { readonly kind: "timeout" }
  /** Nothing came for longer than may lie between two pieces of content. */
  | { readonly kind: "stalled" }
  /** The caller went away, or stopped reading. */
  | { readonly kind: "client" };

/** How much of an answer was seen before it ended, whichever way. */
export interface Seen {
  /** UTF-8 bytes of content; undefined of a call that does not stream. */
  readonly bytes: number | undefined;
  readonly firstContentMs: number | undefined;
  /** The most tokens that a stream told so far; before its end they are a lower bound. */
  readonly usage: Usage | undefined;
}

/** How one call of one provider ended. */
export type AttemptEnd = { readonly seen: Seen } & (
  | { readonly kind: "reply"; readonly reply: ProviderReply }
  | { readonly kind: "stopped"; readonly cause: StopCause }
);

/** What an attempt that was stopped is recorded as. */
export const stopCodes: Readonly<Record<StopCause["kind"], FailureCode>> = {
  shut: FailureCode.KILLED,
  timeout: FailureCode.PROVIDER_TIMEOUT,
  stalled: FailureCode.STREAM_STALLED,
  client: FailureCode.CLIENT_ABORTED,
};
