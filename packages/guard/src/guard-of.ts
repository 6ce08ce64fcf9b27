import type { Decision, GuardRequest, Outcome } from "@sluice/contract";
import type { Assembly } from "./assemble-guard.ts";
import type { ChainResult } from "./chain.ts";
import { describeGuard } from "./describe.ts";
import { decisionEvent, noopEvent, outcomeEvent, type Ended } from "./event-builders.ts";
import { execute, type Executor } from "./execute.ts";
import type { GateContext } from "./gates/gate.ts";
import type { Guard, ShadowGuard } from "./guard.ts";
import { handOver } from "./hand-over.ts";
import { releaseHolds } from "./holds.ts";
import { checkSample, outcomeSample, responseSample } from "./metric-samples.ts";
import { newContext } from "./new-context.ts";
import { OpenDecision } from "./open-decision.ts";
import { createProbe } from "./probe.ts";
import { legacyPath } from "./safe-path.ts";
import type { ShadowOptions } from "./shadow-options.ts";
import { createStreamQueue, type StreamQueue } from "./stream-queue.ts";
import { isAnswer, textOfValue } from "./text-contract.ts";
import { Work } from "./work.ts";

/** A guard, and what only those who hold the parts may do. */
export interface GuardHandle<In, Ok, Failed, Stub> {
  readonly guard: Guard<In, Ok, Failed, Stub>;
  /** Aborts what runs if the feature is shut now, in its shadows too. */
  readonly check: () => void;
}

/** What a guard does beyond its own parts. */
export interface Around<In, Ok, Failed, Stub> {
  readonly makeShadow: (
    options: ShadowOptions,
    onClosed: () => void,
  ) => GuardHandle<In, Ok, Failed, Stub> & { readonly guard: ShadowGuard<In, Ok, Failed, Stub> };
  readonly onClosed: () => void;
}

/** What a caller sees of the parts. */
export function guardOf<In, Ok, Failed, Stub>(
  assembly: Assembly<In, Ok, Failed, Stub>,
  around: Around<In, Ok, Failed, Stub>,
): GuardHandle<In, Ok, Failed, Stub> {
  type Safe = Stub | undefined;
  const { feature, events, safety, tripwire, inFlight, route, budgets } = assembly;
  const { chain, clock, newId, onHoldThrow } = assembly;
  const owner = Symbol(feature);
  const shadows = new Set<GuardHandle<In, Ok, Failed, Stub>>();
  const check = (): void => {
    inFlight.check();
    for (const shadow of shadows) shadow.check();
  };
  const stopListening = assembly.source.onChange(() => inFlight.check());

  const toDecision = (context: GateContext<In>, result: ChainResult): OpenDecision<In> => {
    const work = new Work(context, clock.monotonicMs(), onHoldThrow);
    const decision = new OpenDecision(newId(), feature, result, work, owner);
    if (result.effect === "allow") inFlight.add(work);
    else releaseHolds(context.holds, { how: "void" }, onHoldThrow);
    if (events.wanted) {
      const event = decision.closed ? noopEvent : decisionEvent;
      events.emit((atMs) => event(decision, atMs));
    }
    if (events.isShadow && !decision.closed) events.sample(() => checkSample(decision));
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
    if (events.metered) events.sample(() => outcomeSample(ended, events.isShadow));
  };

  const claim = (decision: OpenDecision<In>): Work<In> => {
    const work = OpenDecision.workOf(decision);
    if (!work.begin()) throw new TypeError("sluice: the decision was executed or given up already");
    return work;
  };

  const mine = (decision: Decision): OpenDecision<In> => {
    if (!OpenDecision.isOf(decision, owner)) {
      throw new TypeError("sluice: the decision was not made by this guard");
    }
    return decision as OpenDecision<In>;
  };

  const shadow = (options: ShadowOptions = {}): ShadowGuard<In, Ok, Failed, Stub> => {
    const made = around.makeShadow(options, () => void shadows.delete(made));
    shadows.add(made);
    return made.guard;
  };

  const flush = (): void => {
    events.flush();
    for (const { guard } of shadows) guard.flush();
  };

  const close = (): void => {
    stopListening();
    for (const { guard } of shadows) guard.close();
    inFlight.close();
    for (const provider of route.providers) route.healthOf(provider).close();
    events.flush();
    assembly.closeOwn();
    around.onClosed();
  };

  const probe = createProbe({ gates: assembly.gates, rules: assembly.rules, safety, route });

  /** The guard, for callers whose safe path is the executor's. */
  const viewOf = (executor: Executor<In, Ok, Failed, Safe>): Guard<In, Ok, Failed, Safe> => {
    const executeOpen = async (
      decision: OpenDecision<In>,
      work: Work<In>,
      queue?: StreamQueue<Ok, Failed, Safe>,
    ): Promise<Outcome<Ok, Failed, Safe>> =>
      execute(executor, decision, work, (outcome) => tell(decision, outcome), queue);

    const executeInto = async (
      queue: StreamQueue<Ok, Failed, Safe>,
      deciding: OpenDecision<In> | Promise<OpenDecision<In>>,
    ): Promise<void> => {
      try {
        const decision = deciding instanceof Promise ? await deciding : deciding;
        await executeOpen(decision, claim(decision), queue);
      } catch (error) {
        queue.fail(error);
      }
    };

    return {
      feature,
      decide,
      execute: async (decision) => {
        const open = mine(decision);
        return executeOpen(open, claim(open));
      },
      flow(decision) {
        const open = mine(decision);
        const work = claim(open);
        const queue = createStreamQueue<Ok, Failed, Safe>(assembly.bufferBytes);
        executeOpen(open, work, queue).catch((error: unknown) => queue.fail(error));
        return queue.stream;
      },
      run: async (input, request) => {
        const deciding = decide(input, request);
        const decision = deciding instanceof Promise ? await deciding : deciding;
        return executeOpen(decision, claim(decision));
      },
      stream(input, request) {
        const deciding = decide(input, request);
        const queue = createStreamQueue<Ok, Failed, Safe>(assembly.bufferBytes);
        // Detached: the accounting is finished whether or not anybody reads.
        void executeInto(queue, deciding);
        return queue.stream;
      },
      handOver(decision) {
        const open = mine(decision);
        const work = claim(open);
        return handOver(executor, open, work, (ended) => tell(open, ended));
      },
      giveUp(decision) {
        const work = OpenDecision.workOf(mine(decision));
        // What is being executed is given back by its execution.
        if (work.isOpen) assembly.giveUp(work);
      },
      get forLegacy() {
        return legacy;
      },
      shadow,
      switches: () => assembly.switches.read(),
      textOf: (value) => textOfValue(executor.contract, value),
      isAnswer: (value) => isAnswer(executor.contract, executor.forbidden, value),
      probe,
      metered: events.metered,
      noteResponse(status, answered, firstByteMs) {
        if (!events.metered) return;
        const decision = typeof answered === "object" ? answered.decision : undefined;
        const closed = decision === undefined ? safety.shut()?.closed : decision.closed;
        const isStatus = Number.isInteger(status) && status >= 100 && status <= 599;
        if (closed === true || !isStatus) return;
        const sent = {
          status,
          answered,
          firstByteMs: isTime(firstByteMs) ? firstByteMs : undefined,
        };
        events.sample(() => responseSample(feature, sent, events.isShadow));
      },
      check: assembly.check,
      kill() {
        safety.kill();
        check();
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
      flush,
      close,
    };
  };

  const { executor } = assembly;
  const legacy = viewOf({ ...executor, safePath: legacyPath(executor.safePath) });
  // The safe path of its executor gives nothing else than the contract's stub member.
  const guard = viewOf(executor) as Guard<In, Ok, Failed, Stub>;
  return { guard, check };
}

function isTime(ms: number | undefined): boolean {
  return ms !== undefined && Number.isFinite(ms) && ms >= 0;
}
