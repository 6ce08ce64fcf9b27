import { Reason } from "@sluice/contract";
import { askPermit } from "../permits.ts";
import type { Gate, GateSetting } from "./gate.ts";

/** Does some candidate of the route have a permit? The first that has is the one to be called. */
export function circuitBreakerGate<In>(detail: string, setting: GateSetting): Gate<In> {
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
          context.skipped.push({ provider: candidate.provider.name, why: answer });
          continue;
        }
        context.permit = { candidate, index };
        return { effect: "allow", hold: answer };
      }
      return { effect: "divert", reason: Reason.CIRCUIT_OPEN };
    },
  };
}
