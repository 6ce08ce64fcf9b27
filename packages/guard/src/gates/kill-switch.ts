import { Reason } from "@sluice/contract";
import type { Tripwire } from "../tripwire.ts";
import { allow, type Gate } from "./gate.ts";

/** Is any kill engaged: the source's, this process's, or the tripwire's? */
export function killSwitchGate<In>(tripwire: Tripwire): Gate<In> {
  return {
    name: "kill-switch",
    mode: "enforce",
    onIndeterminate: "closed",
    reason: Reason.KILLED,
    get detail() {
      return tripwire.detail;
    },
    check({ shut, request }) {
      if (shut?.gate === "kill-switch") return { effect: "divert", reason: shut.reason };
      if (tripwire.hasTripped(request.run)) return { effect: "divert", reason: Reason.TRIPPED };
      return allow;
    },
  };
}
