import {
  measuresParser,
  type AdmissionStore,
  type BudgetStore,
  type BudgetUse,
  type Clock,
  type Contract,
  type Decision,
  type EventSink,
  type FlagSource,
  type GuardRequest,
  type Hold,
  type MeasuresSchema,
  type NewId,
  type Outcome,
  type Provider,
} from "@sluice/contract";
import type { z } from "zod";
import { composeGates } from "./compose-gates.ts";
import { composeChecks, type CheckGate } from "./gate-check.ts";
import { composeChain, type ChainResult } from "./chain.ts";
import { describeGuard, nameOf, type GuardDescription } from "./describe.ts";
import { decisionEvent, noopEvent, outcomeEvent } from "./event-builders.ts";
import { createEvents } from "./events.ts";
import { execute, type Executor } from "./execute.ts";
import type { GateContext } from "./gates/gate.ts";
import { parseGuardOptions, type GuardOptions, type Value } from "./guard-options.ts";
import { randomIds } from "./ids.ts";
import { releaseHolds } from "./holds.ts";
import { createInFlight } from "./in-flight.ts";
import { newContext } from "./new-context.ts";
import { OpenDecision } from "./open-decision.ts";
import { createSafePath } from "./safe-path.ts";
import { createSafety } from "./safety.ts";
import { memoryBudgets } from "./stores/memory-budgets.ts";
import { opossumBreaker } from "./stores/opossum-breaker.ts";
import { systemClock } from "./system-clock.ts";
import { metricsSink } from "./telemetry/metrics-sink.ts";
import { createTracing, loadOpenTelemetry } from "./telemetry/tracing.ts";
import { createTripwire } from "./tripwire.ts";
import { Work } from "./work.ts";

/** A feature behind its gates. */
export interface Guard<In, Ok, Failed, Stub> {
  readonly feature: string;
  /**
   * Asks the gates. Synchronous unless admission asks a remote store. The decision holds what the gates
   * took until it is executed or given up; one that is neither is given up after 30 seconds.
   */
  decide(input: In, request: GuardRequest): Decision | Promise<Decision>;
  /**
   * Does what the decision says, once. Never rejects for anything a provider, a stub, a store or an
   * observer does.
   * @throws TypeError for a decision of another guard, or one that was executed or given up
   */
  execute(decision: Decision): Promise<Outcome<Ok, Failed, Stub>>;
  /** Decides, then executes. */
  run(input: In, request: GuardRequest): Promise<Outcome<Ok, Failed, Stub>>;
  /** Gives back what a decision holds that will not be executed. */
  giveUp(decision: Decision): void;
  /** One gate asked alone; what it took is for the caller to release. */
  readonly check: CheckGate<In>;
  /** Shuts the feature in this process and aborts what is in flight. */
  kill(): void;
  /** Lifts the kill of this process; no other. */
  restore(): void;
  /** Lifts what the tripwire shut: everything, or one run. */
  resetTripwire(run?: string): void;
  /** What runs have used. */
  readonly budget: {
    use(run: string): BudgetUse;
    /** Sets what a run had used before this process. */
    restore(run: string, use: BudgetUse): void;
    end(run: string): void;
  };
  /** Decisions that hold something now. */
  readonly inFlight: number;
  /** The chain in order and the state of its parts; `String()` prints it. It holds no secret. */
  describe(): GuardDescription;
  /** Hands waiting events to the sinks. */
  flush(): void;
  /** Stops timers and hands out what events wait. The flag source and stores stay open: they may be shared. */
  close(): void;
}

/**
 * Puts a feature behind its gates.
 * @throws ConfigError: one line naming the option, what came and what was expected
 */
export function createGuard<
  In,
  Ok extends z.ZodType,
  Failed extends z.ZodType,
  Stub extends z.ZodType,
  M extends MeasuresSchema = never,
  const FailedValue extends Value<Failed> = Value<Failed>,
  const StubValue extends Value<Stub> = Value<Stub>,
>(
  options: GuardOptions<In, Ok, Failed, Stub, M, FailedValue, StubValue>,
): Guard<In, z.output<Ok>, z.output<Failed>, z.output<Stub>> {
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
  const tripwire = createTripwire(settings.tripwire, safety, events, (run) =>
    inFlight.stopRun(run),
  );
  const inFlight = createInFlight<In>({
    clock,
    safety,
    leaseMs: admission?.leaseMs ?? Number.POSITIVE_INFINITY,
    onAbandoned: giveUpWork,
  });
  const stopListening = source.onChange(() => inFlight.check());

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
  const notReady = provider.notReady?.();
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
  });
  const onThrow = (what: string): void =>
    events.alertOnce(`threw:${what}`, {
      code: "DEPENDENCY_THREW",
      message: `${what} threw; the request went on without it as configured`,
    });
  const chain = composeChain(gates, (gate) => onThrow(`the gate ${gate}`));

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

  function giveUpWork(work: Work<In>): void {
    inFlight.remove(work);
    work.end({ how: "void" });
  }

  const onHoldThrow = (kind: Hold["kind"]): void => onThrow(`a ${kind}`);
  const owner = Symbol(feature);

  const check = composeChecks(gates, safety, (gate) => onThrow(`the gate ${gate}`), onHoldThrow);

  const toDecision = (context: GateContext<In>, result: ChainResult): OpenDecision<In> => {
    const work = new Work(context, clock.monotonicMs(), onHoldThrow);
    const decision = new OpenDecision(newId(), feature, result, work, owner);
    if (result.effect === "allow") inFlight.add(work);
    else releaseHolds(context.holds, { how: "void" }, onHoldThrow);
    if (events.wanted) {
      const event = decision.closed ? noopEvent : decisionEvent;
      events.emit((atMs) => event(decision, atMs));
    }
    return decision;
  };

  const decide = (
    input: In,
    request: GuardRequest,
  ): OpenDecision<In> | Promise<OpenDecision<In>> => {
    const context = newContext(safety, input, request);
    const result = chain(context);
    return result instanceof Promise
      ? result.then((late) => toDecision(context, late))
      : toDecision(context, result);
  };

  const executeOpen = async (
    decision: OpenDecision<In>,
  ): Promise<Outcome<z.output<Ok>, z.output<Failed>, z.output<Stub>>> => {
    const work = OpenDecision.workOf(decision);
    if (!work.begin()) throw new TypeError("sluice: the decision was executed or given up already");
    const outcome = await execute(executor, decision, work);
    if (events.wanted && !decision.closed) events.emit((atMs) => outcomeEvent(outcome, atMs));
    return outcome;
  };

  const mine = (decision: Decision): OpenDecision<In> => {
    if (!OpenDecision.isOf(decision, owner)) {
      throw new TypeError("sluice: the decision was not made by this guard");
    }
    return decision as OpenDecision<In>;
  };

  return {
    feature,
    decide,
    execute: async (decision) => executeOpen(mine(decision)),
    run: async (input, request) => {
      const decision = decide(input, request);
      return executeOpen(decision instanceof Promise ? await decision : decision);
    },
    giveUp(decision) {
      const work = OpenDecision.workOf(mine(decision));
      // What is being executed is given back by its execution.
      if (work.isOpen) giveUpWork(work);
    },
    check,
    kill() {
      safety.kill();
      inFlight.check();
    },
    restore: () => safety.restore(),
    resetTripwire: (run) => tripwire.reset(run),
    budget: {
      use: (run) => budgets.use(run),
      restore: (run, use) => budgets.restore(run, use),
      end: (run) => budgets.end(run),
    },
    get inFlight() {
      return inFlight.size;
    },
    describe: () => describeGuard({ feature, gates, safety, provider, breaker, events }),
    flush: () => events.flush(),
    close() {
      stopListening();
      inFlight.close();
      breaker?.close();
      events.flush();
    },
  };
}
