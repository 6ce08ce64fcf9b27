import { Reason } from "@sluice/contract";
import { askPermit } from "../permits.ts";
import { allow, type Gate, type GateSetting } from "./gate.ts";

/** Does some candidate of the route have a permit? The first that has is the one to be called. */
export function circuitBreakerGate<In>(detail: string, setting: GateSetting): Gate<In> {
  const isShadow = setting.mode === "shadow";
  return {
    name: "circuit-breaker",
    ...setting,
    reason: Reason.CIRCUIT_OPEN,
    detail,
    check(context) {
      const { candidates } = context.plan();
      for (const [index, candidate] of candidates.entries()) {
        const answer = askPermit(candidate);
        if (typeof answer === "string") {
          if (!isShadow) context.skipped.push({ provider: candidate.provider.name, why: answer });
          continue;
        }
        // In shadow the first choice is called, whatever its circuit.
        if (isShadow && index > 0) {
          answer.release({ how: "void" });
          return allow;
        }
        context.permit = { candidate, index };
        return { effect: "allow", hold: answer };
      }
      return { effect: "divert", reason: Reason.CIRCUIT_OPEN };
    },
  };
}
