import type { GuardRequest } from "@sluice/contract";
import type { GateContext } from "./gates/gate.ts";
import type { Safety } from "./safety.ts";

/** Reads the inputs once, so that every gate of a request looks at the same flags. */
export function newContext<In>(safety: Safety, input: In, request: GuardRequest): GateContext<In> {
  const flags = safety.current();
  return {
    input,
    request,
    flags,
    shut: safety.shut(flags),
    included: false,
    holds: [],
    reservation: undefined,
    permit: undefined,
  };
}
