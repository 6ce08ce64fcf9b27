import { Reason } from "@sluice/contract";
import type { Safety } from "../safety.ts";
import { allow, type Gate } from "./gate.ts";

/** Is the feature open, by flags fresh enough to trust? */
export function featureFlagGate<In>(safety: Safety, detail: string): Gate<In> {
  return {
    name: "feature-flag",
    mode: "enforce",
    onIndeterminate: "closed",
    reason: Reason.FLAG_OFF,
    detail,
    check(context) {
      context.flags = safety.current();
      context.shut = safety.shut();
      if (context.shut?.gate !== "feature-flag") return allow;
      return { effect: "divert", reason: context.shut.reason };
    },
  };
}
