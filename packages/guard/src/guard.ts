import type {
  BudgetUse,
  Decision,
  GuardRequest,
  Outcome,
  ParityFigures,
  Switches,
} from "@sluice/contract";
import type { GuardDescription } from "./describe.ts";
import type { CheckGate } from "./gate-check.ts";
import type { Barred, HandedOver } from "./handed-over.ts";
import type { AnsweredBy } from "./metric-samples.ts";
import type { Probe, ProbeOptions } from "./probe.ts";
import type { ShadowOptions } from "./shadow-options.ts";
import type { GuardStream } from "./stream-queue.ts";

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
  /**
   * The same, and lets the answer flow as {@link Guard.stream} does.
   * @throws TypeError as {@link Guard.execute}, at once
   */
  flow(decision: Decision): GuardStream<Ok, Failed, Stub>;
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
  /**
   * This guard for callers with a safe path of their own, such as a legacy handler: no stub is called. Where
   * one would have answered, the outcome has the path `legacy` and no value, and the caller answers.
   */
  readonly forLegacy: Guard<In, Ok, Failed, Stub | undefined>;
  /**
   * A guard beside this one, of the same options, for requests that somebody else answers. Nothing that it
   * does changes this one: it has breakers, budgets and counts of its own, and no tripwire. What shuts this
   * guard shuts it too, and closing this one closes it. Its events say `shadow`, its samples have that arm,
   * OpenTelemetry is told nothing, and tools that are not marked as safe are not run. A decision of it that
   * is neither executed nor given up is given up after ten minutes: it may stand for somebody else's answer.
   * @throws ConfigError where a cap of money can't be counted
   */
  shadow(options?: ShadowOptions): ShadowGuard<In, Ok, Failed, Stub>;
  /** The switches as they stand in the guard's flag source. A malformed one is told of once. */
  switches(): Switches;
  /** A value under the contract as plain text: the field that the contract calls its text, else its JSON. */
  textOf(value: unknown): string;
  /** Whether a value, made by whomever, parses under the contract as the model's answer has to. */
  isAnswer(value: unknown): boolean;
  /** Whether it has a `metrics` sink; where it has none, a host adapter has nothing to count. */
  readonly metered: boolean;
  /**
   * Takes the HTTP status that a client was sent, for the `metrics` sink; for host adapters, once per
   * response.
   * @param status from 100 to 599; another counts nothing
   * @param answered the outcome that was sent, or `legacy` where the caller's own handler answered without
   * any; without either the response belongs to no arm, as a refusal of authentication does. Of a closed feature nothing counts: of one that was closed when it was decided
   * on, and without an outcome of one that is closed now.
   * @param firstByteMs from the request's arrival to the sending of the status line
   */
  noteResponse(status: number, answered?: AnsweredBy, firstByteMs?: number): void;
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
  /** Hands waiting events to the sinks, those of its shadows too. */
  flush(): void;
  /**
   * Hands out what events wait and stops timers, once nothing is in flight any more. The flag source and
   * stores stay open: they may be shared.
   */
  close(): void;
}

/** A guard that answers nobody. */
export interface ShadowGuard<In, Ok, Failed, Stub> extends Guard<In, Ok, Failed, Stub> {
  /**
   * Takes how a mirrored answer compares with the one that the client got, for the `metrics` sink. Figures
   * of another form count nothing.
   */
  noteParity(figures: ParityFigures): void;
}
