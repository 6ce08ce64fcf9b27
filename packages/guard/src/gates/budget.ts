import { Reason, type ProviderAsk } from "@sluice/contract";
import type { Candidate } from "../candidate.ts";
import { reservationHold, type Reservations } from "../reservations.ts";
import { allow, type Gate, type GateContext } from "./gate.ts";

/** Has the run calls, tokens and money left? Reserves the worst case at the route's first choice. */
export function budgetGate<In>(
  reservations: Reservations<In>,
  firstAsk: (context: GateContext<In>, candidate: Candidate<In>) => ProviderAsk<In>,
): Gate<In> {
  const { mode, onIndeterminate, detail } = reservations;
  return {
    name: "budget",
    mode,
    onIndeterminate,
    reason: Reason.STORE_UNAVAILABLE,
    detail,
    check(context) {
      const candidate = context.plan().candidates[0];
      // Nobody can be called, which is for the circuit breaker's gate to say.
      if (candidate === undefined) return allow;
      const reply = reservations.reserve(
        context.request.run,
        candidate,
        firstAsk(context, candidate),
      );
      if (!reply.granted) {
        const effect = reply.indeterminate ? "indeterminate" : "divert";
        return { effect, reason: reply.reason };
      }
      const { reservation } = reply;
      context.reserved = { candidate, reservation };
      return { effect: "allow", hold: reservationHold(reservation) };
    },
  };
}
