import { Reason, type Breaker, type Provider } from "@sluice/contract";
import { nameOf } from "../provider-name.ts";
import { notReadyOf } from "../provider-readiness.ts";
import { allow, type Gate, type GateSetting } from "./gate.ts";

/** Can the provider be called, and does its breaker give a permit? */
export function circuitBreakerGate<In>(
  breaker: Breaker | undefined,
  provider: Provider<In>,
  setting: GateSetting,
): Gate<In> {
  return {
    name: "circuit-breaker",
    ...setting,
    reason: Reason.CIRCUIT_OPEN,
    detail: `of ${nameOf(provider)}`,
    check(context) {
      if (notReadyOf(provider) !== undefined) {
        return { effect: "divert", reason: Reason.CIRCUIT_OPEN };
      }
      if (breaker === undefined) return allow;
      const permit = breaker.tryAcquire();
      if (permit === undefined) return { effect: "divert", reason: Reason.CIRCUIT_OPEN };
      context.permit = permit;
      return {
        effect: "allow",
        hold: {
          kind: "permit",
          release: (end) => permit.settle(end.health ?? "neutral"),
        },
      };
    },
  };
}
