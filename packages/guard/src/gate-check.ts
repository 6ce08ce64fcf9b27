import type {
  AdmissionFigures,
  GateName,
  GuardRequest,
  Hold,
  HoldEnd,
  Reason,
} from "@sluice/contract";
import { composeChain, type ChainResult } from "./chain.ts";
import { figuresOf } from "./gates/admission.ts";
import type { Gate } from "./gates/gate.ts";
import { releaseHolds } from "./holds.ts";
import { newContext } from "./new-context.ts";
import type { Route } from "./route.ts";
import type { Safety } from "./safety.ts";

/** What one gate alone says of a request, its mode and `onIndeterminate` applied. */
export interface GateCheck {
  readonly effect: "allow" | "divert" | "reject";
  readonly reason?: Reason;
  /** Only with `reject`. */
  readonly retryAfterMs?: number;
  /** As in a decision. */
  readonly admission?: AdmissionFigures | undefined;
  /** Gives back what the gate took; only the first call counts. */
  release(end: HoldEnd): void;
}

export type CheckGate<In> = (
  name: GateName,
  input: In,
  request: GuardRequest,
) => GateCheck | Promise<GateCheck>;

/** A chain of one gate each, for those who place the gates themselves. */
export function composeChecks<In>(
  gates: readonly Gate<In>[],
  safety: Safety,
  route: Route<In>,
  onGateThrow: (gate: GateName) => void,
  onHoldThrow: (kind: Hold["kind"]) => void,
): CheckGate<In> {
  const chains = new Map(gates.map((gate) => [gate.name, composeChain([gate], onGateThrow)]));
  return (name, input, request) => {
    const chain = chains.get(name);
    // A gate that is not configured has no opinion.
    if (chain === undefined) return { effect: "allow", release: () => undefined };
    const context = newContext(safety, route, input, request);
    const toCheck = (result: ChainResult): GateCheck => ({
      effect: result.effect,
      ...(result.reason === undefined ? {} : { reason: result.reason }),
      ...(result.retryAfterMs === undefined ? {} : { retryAfterMs: result.retryAfterMs }),
      get admission() {
        return figuresOf(context);
      },
      release: (end) => releaseHolds(context.holds, end, onHoldThrow),
    });
    const result = chain(context);
    return result instanceof Promise ? result.then(toCheck) : toCheck(result);
  };
}
