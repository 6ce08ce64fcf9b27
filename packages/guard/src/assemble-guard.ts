import {
  measuresParser,
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
import { compileForbidden, type AllowlistRule } from "@sluice/policy";
import type { z } from "zod";
import { apartOf } from "./apart-of.ts";
import { createHoldTaker } from "./attempt-holds.ts";
import { composeChain, type Chain } from "./chain.ts";
import { composeGates } from "./compose-gates.ts";
import { createEvents, type Events } from "./events.ts";
import type { Executor } from "./execute.ts";
import { composeChecks, type CheckGate } from "./gate-check.ts";
import type { Gate } from "./gates/gate.ts";
import type { GuardOptions, Value } from "./guard-options.ts";
import { parseGuardOptions } from "./guard-settings.ts";
import { machineRandom, randomIds } from "./ids.ts";
import { abandonedMs, createInFlight, shadowAbandonedMs, type InFlight } from "./in-flight.ts";
import { createReservations } from "./reservations.ts";
import { createRetryAllowance } from "./retry-allowance.ts";
import type { Route } from "./route.ts";
import type { ShadowOptions } from "./shadow-options.ts";
import { shadowSafety } from "./shadow-safety.ts";
import { createSafePath } from "./safe-path.ts";
import { createSafety, type Safety } from "./safety.ts";
import { createSpending, spendingTaker } from "./spending.ts";
import { createSwitchReader, type SwitchReader } from "./switch-reader.ts";
import { memoryBudgets } from "./stores/memory-budgets.ts";
import { systemClock } from "./system-clock.ts";
import { metricsSink } from "./telemetry/metrics-sink.ts";
import { createTracing, loadOpenTelemetry } from "./telemetry/tracing.ts";
import { createTools, type Tools } from "./tools/run-tools.ts";
import { createTripwire, type Tripwire } from "./tripwire.ts";
import { wireRoute } from "./wire-route.ts";
import type { Work } from "./work.ts";

/** The parts of one guard, put together. */
export interface Assembly<In, Ok, Failed, Stub> {
  readonly feature: string;
  readonly source: FlagSource;
  readonly switches: SwitchReader;
  readonly route: Route<In>;
  readonly budgets: BudgetStore;
  readonly tools: Tools | undefined;
  readonly events: Events;
  readonly safety: Safety;
  readonly tripwire: Tripwire;
  readonly inFlight: InFlight<In>;
  readonly gates: readonly Gate<In>[];
  readonly rules: readonly AllowlistRule[] | undefined;
  readonly chain: Chain<In>;
  readonly check: CheckGate<In>;
  readonly executor: Executor<In, Ok, Failed, Stub>;
  readonly bufferBytes: number;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly onHoldThrow: (kind: Hold["kind"]) => void;
  /** Gives back what a decision holds that nobody executes. */
  giveUp(work: Work<In>): void;
  /** Closes what is nobody else's. */
  closeOwn(): void;
}

/** The guard that a shadow stands beside, and what the shadow may spend. */
export interface Beside {
  readonly parent: Pick<Assembly<never, unknown, unknown, unknown>, "safety" | "switches">;
  readonly options: ShadowOptions;
}

/**
 * Checks the options and puts the parts together.
 * @param beside makes them those of a shadow: of its own is all that a request changes
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
  beside?: Beside,
): Assembly<In, z.output<Ok>, z.output<Failed>, z.output<Stub>> {
  const settings = parseGuardOptions(options);
  // What is not plain data was checked above for its methods, and keeps the types it was given with.
  const source: FlagSource = options.flags;
  const contract = options.contract as Contract<
    z.ZodType<z.output<Ok>>,
    z.ZodType<z.output<Failed>>,
    z.ZodType<z.output<Stub>>
  >;
  const clock: Clock = options.clock ?? systemClock;
  const newId: NewId = options.newId ?? randomIds;
  const isShadow = beside !== undefined;
  const ownBudgets = isShadow ? undefined : options.budget?.store;
  const budgets: BudgetStore = ownBudgets ?? memoryBudgets({ clock });
  const { feature } = settings;
  const providers = options.route?.providers ?? [options.provider as Provider<In>];
  const spend = beside && createSpending({ options: beside.options, settings, providers, clock });

  const openTelemetry = settings.openTelemetry && !isShadow ? loadOpenTelemetry() : undefined;
  const sinks: EventSink[] = [...(options.sinks ?? [])];
  const events = createEvents({
    feature,
    sinks: openTelemetry === undefined ? sinks : [...sinks, metricsSink(openTelemetry)],
    metrics: options.metrics,
    isShadow,
    clock,
  });
  const admission = isShadow ? apartOf(options.admission, onThrow) : options.admission;
  const safePath = createSafePath<In, z.output<Failed>, z.output<Stub>>({
    contract,
    failed: options.failed,
    stub: options.stub,
    events,
  });
  const safety =
    beside === undefined
      ? createSafety({
          feature,
          source,
          maxStalenessMs: settings.maxStalenessMs,
          clock,
          events,
        })
      : shadowSafety(beside.parent.safety, events);
  const tripwire = createTripwire(
    isShadow ? undefined : settings.tripwire,
    safety,
    events,
    (run) => {
      if (run === undefined) inFlight.check();
      else inFlight.stopRun(run);
    },
  );
  function giveUp(work: Work<In>): void {
    inFlight.remove(work);
    work.end({ how: "void" });
  }
  const inFlight = createInFlight<In>({
    clock,
    safety,
    leaseMs: admission?.leaseMs ?? Number.POSITIVE_INFINITY,
    shortestMs: Math.min(
      settings.firstContentTimeoutMs,
      settings.chunkTimeoutMs,
      settings.stream.stallMs,
    ),
    abandonedMs: beside === undefined ? abandonedMs : shadowAbandonedMs,
    onAbandoned: giveUp,
  });
  const switches = beside?.parent.switches ?? createSwitchReader(source, events, onSourceThrow);
  const route = wireRoute<In>({
    settings,
    providers,
    candidates: options.route?.candidates,
    failover: () => settings.route?.failover ?? switches.read().FF_PROVIDER_FAILOVER_ENABLED,
    clock,
    events,
  });
  const { budget } = settings;
  const reservations =
    budget &&
    createReservations<In>({
      caps: {
        calls: budget.callsPerRun,
        tokens: budget.tokensPerRun,
        costNanoUsd: budget.costNanoUsdPerRun,
      },
      maxOutputTokens: budget.maxOutputTokens,
      minOutputTokens: budget.minOutputTokens,
      store: budgets,
      sharesBudgets: admission?.countsBudgets === true,
      ...settings.gates.budget,
    });
  const { enforce: enforceQueue, ...queue } = settings.toolQueue;
  const tools =
    options.tools &&
    createTools({
      where: "createGuard.tools",
      tools: options.tools,
      queue,
      maxSteps: settings.maxToolSteps,
      admission,
      rate: settings.gates.admission,
      onlySafe: isShadow,
      enforceQueue: () => enforceQueue ?? switches.read().FF_TOOL_QUEUE_ENFORCE,
      clock,
      newId,
      onThrow,
    });

  const gates = composeGates({
    settings,
    source,
    tripwire,
    optIn: options.optIn,
    allowlist: options.allowlist,
    reservations,
    askable: contract.askable,
    tools: tools?.specs ?? [],
    route,
    admission,
    clock,
  });
  function onThrow(what: string): void {
    events.alertOnce(`threw:${what}`, {
      code: "DEPENDENCY_THREW",
      message: `${what} threw; the request went on without it as configured`,
    });
  }
  function onSourceThrow(): void {
    onThrow("the flag source");
  }
  const onGateThrow = (gate: GateName): void => onThrow(`the gate ${gate}`);
  const onHoldThrow = (kind: Hold["kind"]): void => onThrow(`a ${kind}`);

  const onBudgetThrow = (): void => onGateThrow("budget");
  const holdTaker = createHoldTaker<In>({
    reservations,
    breakerMode: settings.gates["circuit-breaker"].mode,
    admission: settings.gates.admission,
    clock,
    onThrow: onBudgetThrow,
  });

  const executor: Executor<In, z.output<Ok>, z.output<Failed>, z.output<Stub>> = {
    contract,
    forbidden: compileForbidden(contract.text?.forbidden ?? []),
    safePath,
    onFailure: settings.onFailure,
    reasoning: settings.stream.reasoning,
    safety,
    tripwire,
    inFlight,
    holdTaker: spendingTaker(holdTaker, spend, onBudgetThrow),
    retries: createRetryAllowance(settings.retry.budgetRatio),
    retryRules: settings.retry,
    clocks: {
      firstContentMs: settings.firstContentTimeoutMs,
      chunkMs: settings.chunkTimeoutMs,
      readerMs: settings.stream.stallMs,
    },
    totalMs: settings.totalTimeoutMs,
    isEnabled: (candidate) => route.isEnabled(candidate),
    failover: route.failover,
    tools,
    hasTools: tools !== undefined,
    maxOutputTokens: beside?.options.maxOutputTokens ?? settings.budget?.maxOutputTokens,
    clock,
    tracing: createTracing(feature, openTelemetry),
    random: options.random ?? machineRandom,
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
    switches,
    route,
    budgets,
    tools,
    events,
    safety,
    tripwire,
    inFlight,
    gates,
    rules: options.allowlist,
    chain: composeChain(gates, onGateThrow),
    check: composeChecks(gates, safety, route, onGateThrow, onHoldThrow),
    executor,
    bufferBytes: settings.stream.bufferBytes,
    clock,
    newId,
    onHoldThrow,
    giveUp,
    closeOwn: () => void (isShadow && admission?.close()),
  };
}
