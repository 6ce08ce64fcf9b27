import type { Hold } from "./hold.ts";
import type { Reason } from "./reason.ts";

/** The gates in the order in which a request passes them. */
export const gateNames = [
  "feature-flag",
  "kill-switch",
  "opt-in",
  "allowlist",
  "rollout",
  "budget",
  "circuit-breaker",
  "admission",
] as const;

export type GateName = (typeof gateNames)[number];

/** The gates that nothing can switch off or put in shadow. */
export type SafetyGateName = "feature-flag" | "kill-switch";
export type ConfigurableGateName = Exclude<GateName, SafetyGateName>;

/** `shadow`: the verdict is recorded as `would_…` and never obeyed. */
export const gateModes = ["off", "shadow", "enforce"] as const;
export type GateMode = (typeof gateModes)[number];

/** What a verdict `indeterminate` means: `open` lets the request pass, `closed` does not. */
export const indeterminatePolicies = ["open", "closed"] as const;
export type OnIndeterminate = (typeof indeterminatePolicies)[number];

/** What one gate says of one request. Only `allow` may carry a hold. */
export type Verdict =
  | { readonly effect: "allow"; readonly hold?: Hold; readonly would?: readonly Reason[] }
  | { readonly effect: "divert"; readonly reason: Reason }
  | {
      readonly effect: "reject";
      readonly reason: Reason;
      /** Milliseconds until another try can succeed. */
      readonly retryAfterMs: number;
      readonly would?: readonly Reason[];
    }
  | { readonly effect: "indeterminate"; readonly reason: Reason };

export const trailVerdicts = [
  "allow",
  "divert",
  "reject",
  "indeterminate_open",
  "indeterminate_closed",
  "would_divert",
  "would_reject",
  "would_indeterminate",
] as const;

/** One line of a decision's trail: which gate said what. */
export interface TrailEntry {
  readonly gate: GateName;
  readonly verdict: (typeof trailVerdicts)[number];
  readonly reason?: Reason;
}
