import type {
  AdmissionStore,
  AskableSchema,
  Clock,
  FlagSource,
  ProviderAsk,
  ToolSpec,
} from "@sluice/contract";
import type { AllowlistRule } from "@sluice/policy";
import type { Candidate } from "./candidate.ts";
import { admissionGate, type FirstCall } from "./gates/admission.ts";
import { allowlistGate } from "./gates/allowlist.ts";
import { budgetGate } from "./gates/budget.ts";
import { circuitBreakerGate } from "./gates/circuit-breaker.ts";
import { featureFlagGate } from "./gates/feature-flag.ts";
import type { Gate, GateContext } from "./gates/gate.ts";
import { killSwitchGate } from "./gates/kill-switch.ts";
import { optInGate } from "./gates/opt-in.ts";
import { rolloutGate } from "./gates/rollout.ts";
import type { GuardSettings } from "./guard-settings.ts";
import { nameOf } from "./provider-name.ts";
import type { Reservations } from "./reservations.ts";
import type { Route } from "./route.ts";
import type { Tripwire } from "./tripwire.ts";

/** The gates that are configured, in the order in which a request passes them. */
export function composeGates<In>(parts: {
  readonly settings: GuardSettings;
  readonly source: FlagSource;
  readonly tripwire: Tripwire;
  readonly optIn: ((input: In) => boolean) | undefined;
  readonly allowlist: readonly AllowlistRule[] | undefined;
  /** Undefined without a budget. */
  readonly reservations: Reservations<In> | undefined;
  readonly askable: AskableSchema | undefined;
  readonly tools: readonly ToolSpec[];
  readonly route: Route<In>;
  readonly admission: AdmissionStore | undefined;
  readonly clock: Clock;
}): readonly Gate<In>[] {
  const { settings, admission, reservations, askable, tools } = parts;
  const { gates: set, maxStalenessMs } = settings;
  const firstAsk: FirstAsk<In> = ({ input }, { config }) => ({
    input,
    schema: askable,
    tools,
    steps: [],
    promptTemplateVersion: config.promptTemplateVersion,
    model: config.model,
  });
  const chain: Gate<In>[] = [
    featureFlagGate(`flags from ${parts.source.name}, at most ${maxStalenessMs} ms old`),
    killSwitchGate(parts.tripwire),
  ];
  if (parts.optIn !== undefined) chain.push(optInGate(parts.optIn, set["opt-in"]));
  chain.push(
    allowlistGate(parts.allowlist, settings.allowlistMode, set.allowlist),
    rolloutGate(set.rollout),
  );
  if (reservations !== undefined) {
    chain.push(budgetGate(reservations, firstAsk));
  }
  chain.push(
    circuitBreakerGate(
      `of ${parts.route.providers.map(nameOf).join(", ")}`,
      set["circuit-breaker"],
    ),
  );
  if (admission !== undefined) {
    const first = admission.countsBudgets === true ? reservations : undefined;
    chain.push(
      admissionGate(admission, set.admission, parts.clock, first && firstCallOf(first, firstAsk)),
    );
  }
  return chain;
}

type FirstAsk<In> = (context: GateContext<In>, candidate: Candidate<In>) => ProviderAsk<In>;

/** Whom the breaker's gate chose, or who stands first; with no more output than the run has left. */
function firstCallOf<In>(reservations: Reservations<In>, firstAsk: FirstAsk<In>): FirstCall<In> {
  return (context) => {
    const candidate = context.permit?.candidate ?? context.plan().candidates[0];
    if (candidate === undefined) return undefined;
    const worst = reservations.worstCase(candidate, firstAsk(context, candidate));
    if (worst === undefined) return undefined;
    const left = context.reserved?.reservation.outputTokens ?? worst.outputTokens;
    const budget = { ...worst, outputTokens: Math.min(worst.outputTokens, left) };
    return { candidate, ask: { budget } };
  };
}
