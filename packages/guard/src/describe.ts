import type {
  Breaker,
  FlagProblem,
  GateMode,
  GateName,
  OnIndeterminate,
  RouteStrategy,
} from "@sluice/contract";
import type { Shut } from "@sluice/policy";
import type { Events } from "./events.ts";
import type { Candidate } from "./candidate.ts";
import type { Gate } from "./gates/gate.ts";
import { given } from "./given.ts";
import { notReadyOf } from "./provider-readiness.ts";
import type { Route } from "./route.ts";
import type { Safety } from "./safety.ts";
import type { SwitchReader } from "./switch-reader.ts";
import type { ToolQueueState } from "./tools/tool-queue.ts";
import type { Tools } from "./tools/run-tools.ts";

/** A guard as people and programs read it. */
export interface GuardDescription {
  readonly feature: string;
  /** Why nobody may pass now; absent when the feature is open. */
  readonly shut?: Shut;
  readonly percent: number;
  readonly flagProblems: readonly FlagProblem[];
  /** What a live route's source found malformed; its last good rows are in force. */
  readonly routeProblems: readonly FlagProblem[];
  /** How a provider is chosen, and whether another may stand in now. */
  readonly route: { readonly strategy: RouteStrategy; readonly failover: boolean };
  /** Who may be called, in the order of the configuration. */
  readonly providers: readonly ProviderDescription[];
  readonly chain: readonly {
    readonly gate: GateName;
    readonly mode: GateMode;
    readonly onIndeterminate: OnIndeterminate;
    readonly detail: string;
  }[];
  /** What the model may call, and how full the tools' queue is; absent without tools. */
  readonly tools?: { readonly names: readonly string[]; readonly queue: ToolQueueState };
  readonly eventsDropped: number;
  toString(): string;
}

export interface ProviderDescription {
  readonly provider: string;
  readonly model?: string;
  /** What to set before it can be called. */
  readonly notReady?: string;
  readonly breaker?: Breaker["state"];
  /** It asked to be left alone for so long. */
  readonly coolingMs?: number;
}

export function describeGuard<In>(parts: {
  readonly feature: string;
  readonly gates: readonly Gate<In>[];
  readonly safety: Safety;
  readonly switches: SwitchReader;
  readonly route: Route<In>;
  readonly tools: Tools | undefined;
  readonly events: Events;
}): GuardDescription {
  const { feature, gates, safety, switches, route, tools, events } = parts;
  const { flags } = safety.current();
  const shut = safety.shut();
  const description = {
    feature,
    ...(shut === undefined ? {} : { shut }),
    percent: flags.percent,
    flagProblems: [...flags.problems, ...switches.problems()],
    routeProblems: [...route.problems()],
    route: { strategy: route.strategy, failover: route.failover() },
    providers: route.candidates().map(describeCandidate),
    chain: gates.map(({ name, mode, onIndeterminate, detail }) => ({
      gate: name,
      mode,
      onIndeterminate,
      detail,
    })),
    ...given(
      "tools",
      tools && { names: tools.specs.map(({ name }) => name), queue: tools.queueState() },
    ),
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

function describeCandidate<In>({ provider, model, health }: Candidate<In>): ProviderDescription {
  const missing = notReadyOf(provider);
  const coolingMs = Math.ceil(health.coolingMs());
  return {
    provider: provider.name,
    ...given("model", model),
    ...given("notReady", missing && `set ${missing.variable} to ${missing.expected}`),
    ...given("breaker", health.state),
    ...given("coolingMs", coolingMs > 0 ? coolingMs : undefined),
  };
}

function printProvider(description: ProviderDescription): string[] {
  const { provider, model, notReady, breaker, coolingMs } = description;
  const parts = [`  provider ${model === undefined ? provider : `${provider} ${model}`}`];
  if (breaker !== undefined) parts.push(`circuit ${breaker}`);
  if (coolingMs !== undefined) parts.push(`left alone for ${coolingMs} ms`);
  const line = parts.join(", ");
  return notReady === undefined ? [line] : [line, `  provider not ready: ${notReady}`];
}

/** Of one provider there is nothing to choose. */
function printRoute({ route, providers }: Pick<GuardDescription, "route" | "providers">): string[] {
  if (providers.length === 1) return [];
  return [`  route by ${route.strategy}, failover ${route.failover ? "on" : "off"}`];
}

function printTools(tools: GuardDescription["tools"]): string[] {
  if (tools === undefined) return [];
  const { running, waiting, oldestAgeMs } = tools.queue;
  const oldest = waiting === 0 ? "" : `, the oldest for ${Math.round(oldestAgeMs)} ms`;
  return [`  tools ${tools.names.join(", ")}: ${running} running, ${waiting} waiting${oldest}`];
}

function print(description: Omit<GuardDescription, "toString">): string {
  const { shut } = description;
  return [
    `feature ${description.feature}: ${shut === undefined ? `open at ${description.percent} %` : `shut, ${shut.reason}`}`,
    ...[...description.flagProblems, ...description.routeProblems].map(
      (problem) =>
        `  malformed: ${problem.variable}, expected ${problem.expected}, read as ${problem.readAs}`,
    ),
    ...description.chain.map(
      (step, index) =>
        `  ${index + 1} ${step.gate} (${step.mode}, ${step.onIndeterminate} when it can't tell): ${step.detail}`,
    ),
    ...printRoute(description),
    ...description.providers.flatMap(printProvider),
    ...printTools(description.tools),
  ].join("\n");
}
