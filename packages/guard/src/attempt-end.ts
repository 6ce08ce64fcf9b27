import type { ProviderReply, Reason } from "@sluice/contract";

/** Why running work is stopped. */
export type StopCause =
  | { readonly kind: "shut"; readonly reason: Reason }
  | { readonly kind: "timeout" }
  | { readonly kind: "client" };

/** How one call of one provider ended. */
export type AttemptEnd =
  | { readonly kind: "reply"; readonly reply: ProviderReply }
  | { readonly kind: "stopped"; readonly cause: StopCause };
