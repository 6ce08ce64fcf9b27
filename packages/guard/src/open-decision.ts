import type { AdmissionFigures, Decision, GateName, Reason, TrailEntry } from "@sluice/contract";
import { figuresOf } from "./gates/admission.ts";
import type { ChainResult } from "./chain.ts";
import type { Work } from "./work.ts";

/** A decision of one guard. Its work is private, so that a decision that is logged shows no input. */
export class OpenDecision<In> implements Decision {
  readonly id: string;
  readonly feature: string;
  readonly effect: Decision["effect"];
  declare readonly gate?: GateName;
  declare readonly reason?: Reason;
  declare readonly flagVersion?: number;
  declare readonly retryAfterMs?: number;
  readonly trail: readonly TrailEntry[];
  readonly closed: boolean;
  readonly #work: Work<In>;
  readonly #owner: symbol;

  constructor(id: string, feature: string, result: ChainResult, work: Work<In>, owner: symbol) {
    this.id = id;
    this.feature = feature;
    this.effect = result.effect;
    this.trail = result.trail;
    this.closed = work.context.shut?.closed ?? false;
    if (result.gate !== undefined) this.gate = result.gate;
    if (result.reason !== undefined) this.reason = result.reason;
    if (result.retryAfterMs !== undefined) this.retryAfterMs = result.retryAfterMs;
    const version = work.context.flags.flags.version;
    if (version !== undefined) this.flagVersion = version;
    this.#work = work;
    this.#owner = owner;
  }

  /** No property of its own: a decision that is logged or copied computes nothing. */
  get admission(): AdmissionFigures | undefined {
    return figuresOf(this.#work.context);
  }

  /** Whether the guard that the symbol stands for made it; two guards may have one feature's name. */
  static isOf(decision: unknown, owner: symbol): boolean {
    return decision instanceof OpenDecision && #owner in decision && decision.#owner === owner;
  }

  static workOf<In>(decision: OpenDecision<In>): Work<In> {
    return decision.#work;
  }
}
