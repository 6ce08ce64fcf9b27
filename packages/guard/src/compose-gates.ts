import type {
  AdmissionStore,
  AskableSchema,
  Breaker,
  BudgetStore,
  Clock,
  FlagSource,
  Provider,
} from "@sluice/contract";
import type { AllowlistRule } from "@sluice/policy";
import { admissionGate } from "./gates/admission.ts";
import { allowlistGate } from "./gates/allowlist.ts";
import { budgetGate } from "./gates/budget.ts";
import { circuitBreakerGate } from "./gates/circuit-breaker.ts";
import { featureFlagGate } from "./gates/feature-flag.ts";
import type { Gate } from "./gates/gate.ts";
import { killSwitchGate } from "./gates/kill-switch.ts";
import { optInGate } from "./gates/opt-in.ts";
import { rolloutGate } from "./gates/rollout.ts";
import type { GuardSettings } from "./guard-options.ts";
import type { Tripwire } from "./tripwire.ts";

/** The gates that are configured, in the order in which a request passes them. */
export function composeGates<In>(parts: {
  readonly settings: GuardSettings;
  readonly source: FlagSource;
  readonly tripwire: Tripwire;
  readonly optIn: ((input: In) => boolean) | undefined;
  readonly allowlist: readonly AllowlistRule[] | undefined;
  readonly budgets: BudgetStore;
  readonly provider: Provider<In>;
  readonly askable: AskableSchema;
  readonly breaker: Breaker | undefined;
  readonly admission: AdmissionStore | undefined;
  readonly clock: Clock;
}): readonly Gate<In>[] {
  const { settings, provider, admission } = parts;
  const { gates: set, budget, maxStalenessMs } = settings;
  const chain: Gate<In>[] = [
    featureFlagGate(`flags from ${parts.source.name}, at most ${maxStalenessMs} ms old`),
    killSwitchGate(parts.tripwire),
  ];
  if (parts.optIn !== undefined) chain.push(optInGate(parts.optIn, set["opt-in"]));
  chain.push(
    allowlistGate(parts.allowlist, settings.allowlistMode, set.allowlist),
    rolloutGate(set.rollout),
  );
  if (budget !== undefined) {
    const caps = {
      calls: budget.callsPerRun,
      tokens: budget.tokensPerRun,
      costNanoUsd: budget.costNanoUsdPerRun,
    };
    const price = provider.model === undefined ? undefined : settings.prices?.[provider.model];
    const { maxOutputTokens, minOutputTokens } = budget;
    chain.push(
      budgetGate(
        { caps, maxOutputTokens, minOutputTokens, store: parts.budgets, price },
        provider,
        parts.askable,
        set.budget,
      ),
    );
  }
  chain.push(circuitBreakerGate(parts.breaker, provider, set["circuit-breaker"]));
  if (admission !== undefined) chain.push(admissionGate(admission, set.admission, parts.clock));
  return chain;
}
