import { Reason } from "@sluice/contract";
import type { Safety } from "../safety.ts";
import type { Tripwire } from "../tripwire.ts";
import { allow, type Gate } from "./gate.ts";

/** Is any kill engaged: the source's, this process's, or the tripwire's? */
export function killSwitchGate<In>(safety: Safety, tripwire: Tripwire): Gate<In> {
  return {
    name: "kill-switch",
    mode: "enforce",
    onIndeterminate: "closed",
    reason: Reason.KILLED,
    detail: tripwire.detail,
    check(context) {
      context.shut ??= safety.shut();
      if (context.shut?.gate === "kill-switch") {
        return { effect: "divert", reason: context.shut.reason };
      }
      if (tripwire.hasTripped(context.request.run)) {
        return { effect: "divert", reason: Reason.TRIPPED };
      }
      return allow;
    },
  };
}
