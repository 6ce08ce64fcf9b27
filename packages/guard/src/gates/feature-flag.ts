import { Reason } from "@sluice/contract";
import { isEligibleSubject } from "@sluice/policy";
import { allow, type Gate } from "./gate.ts";

/**
 * Is the feature open, by flags fresh enough to trust, and could the subject ever be in it? A subject that
 * SQL and JavaScript would not hash alike is never eligible, whatever modes the later gates have.
 */
export function featureFlagGate<In>(detail: string): Gate<In> {
  return {
    name: "feature-flag",
    mode: "enforce",
    onIndeterminate: "closed",
    reason: Reason.FLAG_OFF,
    detail,
    check({ shut, request }) {
      if (shut?.gate === "feature-flag") return { effect: "divert", reason: shut.reason };
      // A kill is the next gate's to tell.
      if (shut !== undefined || isEligibleSubject(request.subject)) return allow;
      return { effect: "divert", reason: Reason.NOT_IN_ROLLOUT };
    },
  };
}
