import type { BudgetUse, Decision, GuardRequest, MeasuresSchema, Outcome } from "@sluice/contract";
import type { z } from "zod";
import { assembleGuard } from "./assemble-guard.ts";
import type { ChainResult } from "./chain.ts";
import { describeGuard, type GuardDescription } from "./describe.ts";
import { decisionEvent, noopEvent, outcomeEvent, type Ended } from "./event-builders.ts";
import { execute } from "./execute.ts";
import type { CheckGate } from "./gate-check.ts";
import type { GateContext } from "./gates/gate.ts";
import { handOver } from "./hand-over.ts";
import type { Barred, HandedOver } from "./handed-over.ts";
import type { GuardOptions, Value } from "./guard-options.ts";
import { releaseHolds } from "./holds.ts";
import { newContext } from "./new-context.ts";
import { outcomeSample, responseSample, type Answered } from "./metric-samples.ts";
import { OpenDecision } from "./open-decision.ts";
import { createProbe, type Probe, type ProbeOptions } from "./probe.ts";
import { createStreamQueue, type GuardStream, type StreamQueue } from "./stream-queue.ts";
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
  /**
   * Decides, then executes, and lets the answer flow as it comes: under a contract of plain text piece by
   * piece, else once it is whole and valid. Exactly one event is terminal, the last.
   */
  stream(input: In, request: GuardRequest): GuardStream<Ok, Failed, Stub>;
  /**
   * Lets the caller make the one call that a decision allows, within the guard's limits; says why not
   * where nothing may be called. Synchronous. For those whose own machinery executes.
   * @throws TypeError as {@link Guard.execute}
   */
  handOver(decision: Decision): HandedOver | Barred;
  /** Gives back what a decision holds that will not be executed. */
  giveUp(decision: Decision): void;
  /** Whether it has a `metrics` sink; where it has none, a host adapter has nothing to count. */
  readonly metered: boolean;
  /**
   * Takes the HTTP status that a client was sent, for the `metrics` sink; for host adapters, once per
   * response.
   * @param status from 100 to 599; another counts nothing
   * @param answered the outcome that was sent; without it the response belongs to no arm, as a refusal of
   * authentication does. Of a closed feature nothing counts: of one that was closed when it was decided
   * on, and without an outcome of one that is closed now.
   */
  noteResponse(status: number, answered?: Answered): void;
  /**
   * What flags, kills, opt-in, allowlist and rollout say of a subject now. Synchronous; it takes nothing,
   * asks no store, and is no decision: no event tells of it. Budget, circuit breaker and admission are
   * left out.
   */
  probe(subject: string, options?: ProbeOptions<In>): Probe;
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
  /**
   * Hands out what events wait and stops timers, once nothing is in flight any more. The flag source and
   * stores stay open: they may be shared.
   */
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
  const assembly = assembleGuard(options);
  const { feature, events, safety, tripwire, inFlight, route, budgets } = assembly;
  const { chain, clock, newId, onHoldThrow } = assembly;
  const stopListening = assembly.source.onChange(() => inFlight.check());
  const owner = Symbol(feature);

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
    const context = newContext(safety, route, input, request);
    const result = chain(context);
    return result instanceof Promise
      ? result.then((late) => toDecision(context, late))
      : toDecision(context, result);
  };

  const tell = (decision: Decision, ended: Ended): void => {
    if (decision.closed) return;
    if (events.wanted) events.emit((atMs) => outcomeEvent(ended, atMs));
    if (events.metered) events.sample(() => outcomeSample(ended));
  };

  const claim = (decision: OpenDecision<In>): Work<In> => {
    const work = OpenDecision.workOf(decision);
    if (!work.begin()) throw new TypeError("sluice: the decision was executed or given up already");
    return work;
  };

  const executeOpen = async (
    decision: OpenDecision<In>,
    queue?: StreamQueue<z.output<Ok>, z.output<Failed>, z.output<Stub>>,
  ): Promise<Outcome<z.output<Ok>, z.output<Failed>, z.output<Stub>>> => {
    const work = claim(decision);
    return execute(assembly.executor, decision, work, (outcome) => tell(decision, outcome), queue);
  };

  const executeInto = async (
    queue: StreamQueue<z.output<Ok>, z.output<Failed>, z.output<Stub>>,
    deciding: OpenDecision<In> | Promise<OpenDecision<In>>,
  ): Promise<void> => {
    try {
      await executeOpen(deciding instanceof Promise ? await deciding : deciding, queue);
    } catch (error) {
      queue.fail(error);
    }
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
    stream(input, request) {
      const deciding = decide(input, request);
      const queue = createStreamQueue<z.output<Ok>, z.output<Failed>, z.output<Stub>>(
        assembly.bufferBytes,
      );
      // Detached: the accounting is finished whether or not anybody reads.
      void executeInto(queue, deciding);
      return queue.stream;
    },
    handOver(decision) {
      const open = mine(decision);
      const work = claim(open);
      return handOver(assembly.executor, open, work, (ended) => tell(open, ended));
    },
    giveUp(decision) {
      const work = OpenDecision.workOf(mine(decision));
      // What is being executed is given back by its execution.
      if (work.isOpen) assembly.giveUp(work);
    },
    probe: createProbe({ gates: assembly.gates, rules: options.allowlist, safety, route }),
    metered: events.metered,
    noteResponse(status, answered) {
      if (!events.metered) return;
      const closed = answered === undefined ? safety.shut()?.closed : answered.decision.closed;
      const isStatus = Number.isInteger(status) && status >= 100 && status <= 599;
      if (closed === true || !isStatus) return;
      events.sample(() => responseSample(feature, status, answered));
    },
    check: assembly.check,
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
    describe: () => describeGuard(assembly),
    flush: () => events.flush(),
    close() {
      stopListening();
      inFlight.close();
      for (const provider of route.providers) route.healthOf(provider).close();
      events.flush();
    },
  };
}
