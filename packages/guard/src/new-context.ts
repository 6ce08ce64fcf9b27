import type { GuardRequest } from "@sluice/contract";
import type { GateContext } from "./gates/gate.ts";
import type { Plan, Route } from "./route.ts";
import type { Safety } from "./safety.ts";

/** Reads the inputs once, so that every gate of a request looks at the same flags. */
export function newContext<In>(
  safety: Safety,
  route: Route<In>,
  input: In,
  request: GuardRequest,
): GateContext<In> {
  const flags = safety.current();
  let plan: Plan<In> | undefined;
  return {
    input,
    request,
    flags,
    shut: safety.shut(flags),
    included: false,
    holds: [],
    // Not before a gate asks: a closed feature computes nothing.
    plan: () => (plan ??= route.plan(request)),
    skipped: [],
    reserved: undefined,
    shared: undefined,
    admission: undefined,
    permit: undefined,
  };
}
