import { Reason } from "@sluice/contract";
import { allow, type Gate } from "./gate.ts";

/** Is the feature open, by flags fresh enough to trust? */
export function featureFlagGate<In>(detail: string): Gate<In> {
  return {
    name: "feature-flag",
    mode: "enforce",
    onIndeterminate: "closed",
    reason: Reason.FLAG_OFF,
    detail,
    check: ({ shut }) =>
      shut?.gate === "feature-flag" ? { effect: "divert", reason: shut.reason } : allow,
  };
}
