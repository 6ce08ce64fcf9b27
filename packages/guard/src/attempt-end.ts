import { FailureCode, type ProviderReply, type Reason } from "@sluice/contract";

/** Why running work is stopped. */
export type StopCause =
  | { readonly kind: "shut"; readonly reason: Reason }
  | { readonly kind: "timeout" }
  | { readonly kind: "client" };

/** How one call of one provider ended. */
export type AttemptEnd =
  | { readonly kind: "reply"; readonly reply: ProviderReply }
  | { readonly kind: "stopped"; readonly cause: StopCause };

/** What an attempt that was stopped is recorded as. */
export const stopCodes: Readonly<Record<StopCause["kind"], FailureCode>> = {
  shut: FailureCode.KILLED,
  timeout: FailureCode.PROVIDER_TIMEOUT,
  client: FailureCode.CLIENT_ABORTED,
};
