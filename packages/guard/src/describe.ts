import type {
  Breaker,
  FlagProblem,
  GateMode,
  GateName,
  OnIndeterminate,
  Provider,
} from "@sluice/contract";
import type { Shut } from "@sluice/policy";
import type { Events } from "./events.ts";
import type { Gate } from "./gates/gate.ts";
import { nameOf } from "./provider-name.ts";
import { notReadyOf } from "./provider-readiness.ts";
import type { Safety } from "./safety.ts";

/** A guard as people and programs read it. */
export interface GuardDescription {
  readonly feature: string;
  /** Why nobody may pass now; absent when the feature is open. */
  readonly shut?: Shut;
  readonly percent: number;
  readonly flagProblems: readonly FlagProblem[];
  readonly provider: string;
  /** What to set before the provider can be called. */
  readonly providerNotReady?: string;
  readonly breaker?: Breaker["state"];
  readonly chain: readonly {
    readonly gate: GateName;
    readonly mode: GateMode;
    readonly onIndeterminate: OnIndeterminate;
    readonly detail: string;
  }[];
  readonly eventsDropped: number;
  toString(): string;
}

export function describeGuard<In>(parts: {
  readonly feature: string;
  readonly gates: readonly Gate<In>[];
  readonly safety: Safety;
  readonly provider: Provider<In>;
  readonly breaker: Breaker | undefined;
  readonly events: Events;
}): GuardDescription {
  const { feature, gates, safety, provider, breaker, events } = parts;
  const { flags } = safety.current();
  const shut = safety.shut();
  const notReady = notReadyOf(provider);
  const description = {
    feature,
    ...(shut === undefined ? {} : { shut }),
    percent: flags.percent,
    flagProblems: flags.problems,
    provider: nameOf(provider),
    ...(notReady === undefined
      ? {}
      : { providerNotReady: `set ${notReady.variable} to ${notReady.expected}` }),
    ...(breaker === undefined ? {} : { breaker: breaker.state }),
    chain: gates.map(({ name, mode, onIndeterminate, detail }) => ({
      gate: name,
      mode,
      onIndeterminate,
      detail,
    })),
    eventsDropped: events.dropped,
  };
  const toString = (): string => print(description);
  // `console.log(guard.describe())` prints it too. Source: Node's util.inspect.custom.
  return Object.defineProperty(
    { ...description, toString },
    Symbol.for("nodejs.util.inspect.custom"),
    { value: toString },
  );
}

function print(description: Omit<GuardDescription, "toString">): string {
  const { shut } = description;
  return [
    `feature ${description.feature}: ${shut === undefined ? `open at ${description.percent} %` : `shut, ${shut.reason}`}`,
    ...description.flagProblems.map(
      (problem) =>
        `  malformed: ${problem.variable}, expected ${problem.expected}, read as ${problem.readAs}`,
    ),
    ...description.chain.map(
      (step, index) =>
        `  ${index + 1} ${step.gate} (${step.mode}, ${step.onIndeterminate} when it can't tell): ${step.detail}`,
    ),
    `  provider ${description.provider}${description.breaker === undefined ? "" : `, circuit ${description.breaker}`}`,
    ...(description.providerNotReady === undefined
      ? []
      : [`  provider not ready: ${description.providerNotReady}`]),
  ].join("\n");
}
