import type { GateName, Reason, TrailEntry, Verdict } from "@sluice/contract";
import type { Gate, GateContext } from "./gates/gate.ts";

/** What the chain made of one request. */
export interface ChainResult {
  readonly effect: "allow" | "divert" | "reject";
  readonly gate: GateName | undefined;
  readonly reason: Reason | undefined;
  readonly retryAfterMs: number | undefined;
  readonly trail: readonly TrailEntry[];
}

export type Chain<In> = (context: GateContext<In>) => ChainResult | Promise<ChainResult>;

/** A store that could not answer is asked again by the caller after so long. */
const storeRetryMs = 1000;

type Step<In> = {
  readonly gate: Gate<In>;
  /** One frozen entry serves every request. */
  readonly allowed: TrailEntry;
  /** What a throw means. */
  readonly threw: Verdict;
};

/**
 * Composes the gates once. A verdict other than `allow` stops the chain; a gate in shadow is recorded as
 * `would_…` and never obeyed. No promise is made unless a gate answers with one.
 * @param onThrow told which gate threw; never what, because an error may quote content
 */
export function composeChain<In>(
  gates: readonly Gate<In>[],
  onThrow: (gate: GateName) => void,
): Chain<In> {
  const steps: readonly Step<In>[] = gates
    .filter((gate) => gate.mode !== "off")
    .map((gate) => ({
      gate,
      allowed: Object.freeze({ gate: gate.name, verdict: "allow" }),
      threw: Object.freeze({ effect: "indeterminate", reason: gate.reason }),
    }));

  const ask = (step: Step<In>, context: GateContext<In>): Verdict | Promise<Verdict> => {
    try {
      const verdict = step.gate.check(context);
      if (!(verdict instanceof Promise)) return verdict;
      return verdict.catch(() => {
        onThrow(step.gate.name);
        return step.threw;
      });
    } catch {
      onThrow(step.gate.name);
      return step.threw;
    }
  };

  const run = (
    context: GateContext<In>,
    from: number,
    trail: TrailEntry[],
  ): ChainResult | Promise<ChainResult> => {
    for (let i = from; i < steps.length; i += 1) {
      const step = steps[i] as Step<In>;
      const verdict = ask(step, context);
      if (verdict instanceof Promise) {
        return verdict.then(
          (late) => obey(step, late, context, trail) ?? run(context, i + 1, trail),
        );
      }
      const stop = obey(step, verdict, context, trail);
      if (stop !== undefined) return stop;
    }
    return { effect: "allow", gate: undefined, reason: undefined, retryAfterMs: undefined, trail };
  };

  return (context) => run(context, 0, []);
}

/** Records a verdict; the result when it stops the chain. */
function obey<In>(
  { gate, allowed }: Step<In>,
  verdict: Verdict,
  context: GateContext<In>,
  trail: TrailEntry[],
): ChainResult | undefined {
  if ("would" in verdict && verdict.would !== undefined) {
    for (const reason of verdict.would) {
      trail.push({ gate: gate.name, verdict: "would_reject", reason });
    }
  }
  if (verdict.effect === "allow") {
    if (verdict.hold !== undefined) context.holds.push(verdict.hold);
    trail.push(allowed);
    return undefined;
  }
  const { reason } = verdict;
  const { mode, onIndeterminate } = gate.settingOf?.(context) ?? gate;
  if (mode === "shadow") {
    trail.push({ gate: gate.name, verdict: `would_${verdict.effect}`, reason });
    return undefined;
  }
  if (verdict.effect !== "indeterminate") {
    trail.push({ gate: gate.name, verdict: verdict.effect, reason });
    return {
      effect: verdict.effect,
      gate: gate.name,
      reason,
      retryAfterMs: verdict.effect === "reject" ? verdict.retryAfterMs : undefined,
      trail,
    };
  }
  trail.push({ gate: gate.name, verdict: `indeterminate_${onIndeterminate}`, reason });
  if (onIndeterminate === "open") return undefined;
  const rejects = gate.name === "admission";
  return {
    effect: rejects ? "reject" : "divert",
    gate: gate.name,
    reason,
    retryAfterMs: rejects ? storeRetryMs : undefined,
    trail,
  };
}
