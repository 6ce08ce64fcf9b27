import {
  measuresParser,
  type AdmissionStore,
  type Breaker,
  type BudgetStore,
  type Clock,
  type Contract,
  type EventSink,
  type FlagSource,
  type GateName,
  type Hold,
  type MeasuresSchema,
  type NewId,
  type Provider,
} from "@sluice/contract";
import type { z } from "zod";
import { composeChain, type Chain } from "./chain.ts";
import { composeGates } from "./compose-gates.ts";
import { createEvents, type Events } from "./events.ts";
import type { Executor } from "./execute.ts";
import { composeChecks, type CheckGate } from "./gate-check.ts";
import type { Gate } from "./gates/gate.ts";
import { parseGuardOptions, type GuardOptions, type Value } from "./guard-options.ts";
import { randomIds } from "./ids.ts";
import { createInFlight, type InFlight } from "./in-flight.ts";
import { nameOf } from "./provider-name.ts";
import { notReadyOf } from "./provider-readiness.ts";
import { createSafePath } from "./safe-path.ts";
import { createSafety, type Safety } from "./safety.ts";
import { memoryBudgets } from "./stores/memory-budgets.ts";
import { opossumBreaker } from "./stores/opossum-breaker.ts";
import { systemClock } from "./system-clock.ts";
import { metricsSink } from "./telemetry/metrics-sink.ts";
import { createTracing, loadOpenTelemetry } from "./telemetry/tracing.ts";
import { createTripwire, type Tripwire } from "./tripwire.ts";
import type { Work } from "./work.ts";

/** The parts of one guard, put together. */
export interface Assembly<In, Ok, Failed, Stub> {
  readonly feature: string;
  readonly source: FlagSource;
  readonly provider: Provider<In>;
  readonly budgets: BudgetStore;
  readonly breaker: Breaker | undefined;
  readonly events: Events;
  readonly safety: Safety;
  readonly tripwire: Tripwire;
  readonly inFlight: InFlight<In>;
  readonly gates: readonly Gate<In>[];
  readonly chain: Chain<In>;
  readonly check: CheckGate<In>;
  readonly executor: Executor<In, Ok, Failed, Stub>;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly onHoldThrow: (kind: Hold["kind"]) => void;
  /** Gives back what a decision holds that nobody executes. */
  giveUp(work: Work<In>): void;
}

/**
 * Checks the options and puts the parts together.
 * @throws ConfigError
 */
export function assembleGuard<
  In,
  Ok extends z.ZodType,
  Failed extends z.ZodType,
  Stub extends z.ZodType,
  M extends MeasuresSchema,
  FailedValue extends Value<Failed>,
  StubValue extends Value<Stub>,
>(
  options: GuardOptions<In, Ok, Failed, Stub, M, FailedValue, StubValue>,
): Assembly<In, z.output<Ok>, z.output<Failed>, z.output<Stub>> {
  const settings = parseGuardOptions(options);
  // What is not plain data was checked above for its methods, and keeps the types it was given with.
  const provider: Provider<In> = options.provider;
  const source: FlagSource = options.flags;
  const contract = options.contract as Contract<
    z.ZodType<z.output<Ok>>,
    z.ZodType<z.output<Failed>>,
    z.ZodType<z.output<Stub>>
  >;
  const clock: Clock = options.clock ?? systemClock;
  const newId: NewId = options.newId ?? randomIds;
  const budgets: BudgetStore = options.budget?.store ?? memoryBudgets({ clock });
  const admission: AdmissionStore | undefined = options.admission;
  const { feature } = settings;

  const openTelemetry = settings.openTelemetry ? loadOpenTelemetry() : undefined;
  const sinks: EventSink[] = [...(options.sinks ?? [])];
  const events = createEvents({
    feature,
    sinks: openTelemetry === undefined ? sinks : [...sinks, metricsSink(openTelemetry)],
    alertsUnheard: sinks.length === 0,
    clock,
  });
  const safePath = createSafePath<In, z.output<Failed>, z.output<Stub>>({
    contract,
    failed: options.failed,
    stub: options.stub,
    events,
  });
  const safety = createSafety({
    feature,
    source,
    maxStalenessMs: settings.maxStalenessMs,
    clock,
    events,
  });
  const tripwire = createTripwire(settings.tripwire, safety, events, (run) => {
    if (run === undefined) inFlight.check();
    else inFlight.stopRun(run);
  });
  function giveUp(work: Work<In>): void {
    inFlight.remove(work);
    work.end({ how: "void" });
  }
  const inFlight = createInFlight<In>({
    clock,
    safety,
    leaseMs: admission?.leaseMs ?? Number.POSITIVE_INFINITY,
    onAbandoned: giveUp,
  });
  const breaker =
    settings.gates["circuit-breaker"].mode === "off"
      ? undefined
      : opossumBreaker({ ...settings.breaker, clock });
  breaker?.onStateChange((from, to) =>
    events.alert({
      code: "BREAKER_STATE",
      message: `the circuit breaker of ${nameOf(provider)} went from ${from} to ${to}`,
    }),
  );
  const notReady = notReadyOf(provider);
  if (notReady !== undefined) {
    events.alert({
      code: "PROVIDER_NOT_READY",
      message: `${nameOf(provider)} can't be called, the safe path serves: set ${notReady.variable} to ${notReady.expected}`,
      variable: notReady.variable,
    });
  }

  const gates = composeGates({
    settings,
    source,
    tripwire,
    optIn: options.optIn,
    allowlist: options.allowlist,
    budgets,
    provider,
    askable: contract.askable,
    breaker,
    admission,
    clock,
  });
  const onThrow = (what: string): void =>
    events.alertOnce(`threw:${what}`, {
      code: "DEPENDENCY_THREW",
      message: `${what} threw; the request went on without it as configured`,
    });
  const onGateThrow = (gate: GateName): void => onThrow(`the gate ${gate}`);
  const onHoldThrow = (kind: Hold["kind"]): void => onThrow(`a ${kind}`);

  const executor: Executor<In, z.output<Ok>, z.output<Failed>, z.output<Stub>> = {
    attempt: {
      provider,
      timeoutMs: settings.timeoutMs,
      clock,
      tracing: createTracing(feature, openTelemetry),
    },
    contract,
    safePath,
    onFailure: settings.onFailure,
    safety,
    tripwire,
    inFlight,
    maxOutputTokens: settings.budget?.maxOutputTokens,
    price: provider.model === undefined ? undefined : settings.prices?.[provider.model],
    measures: settings.measures && {
      names: Object.keys(settings.measures.shape),
      parse: measuresParser(settings.measures),
    },
    measure: options.measure,
    newId,
    events,
  };

  return {
    feature,
    source,
    provider,
    budgets,
    breaker,
    events,
    safety,
    tripwire,
    inFlight,
    gates,
    chain: composeChain(gates, onGateThrow),
    check: composeChecks(gates, safety, onGateThrow, onHoldThrow),
    executor,
    clock,
    newId,
    onHoldThrow,
    giveUp,
  };
}
