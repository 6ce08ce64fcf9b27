import type {
  AdmissionAsk,
  AdmissionDimension,
  AdmissionState,
  BudgetUse,
  Reason,
} from "@sluice/contract";
import type { AcquireParts } from "./acquire-call.ts";
import { bitsOfLimits, headReply } from "./acquire-script.ts";
import { byDimension, statesOf } from "./acquire-states.ts";
import { reasonOf, type BudgetPolicy } from "./policies.ts";

export interface Told {
  readonly reason: Reason;
  readonly dimension: AdmissionDimension;
}

const none: readonly Told[] = [];
const noBudgets: readonly BudgetPolicy[] = [];

/** What the script answered to one request, by dimension. Most of it is worked out when it is read. */
export class AcquireAnswer {
  /** Output tokens set aside; undefined without budgets. */
  readonly granted: number | undefined;
  readonly refused: readonly Told[];
  readonly would: readonly Told[];
  /** By the place of each limit in flight, whether the request is counted there; a shadow may have refused it. */
  readonly insideBits: number;
  readonly #parts: AcquireParts;
  readonly #ask: AdmissionAsk | undefined;
  readonly #reply: readonly unknown[];
  readonly #from: number;
  readonly #dayEndsInMs: number;

  /** @param from where the request's answer begins in the reply, which begins with the time */
  constructor(
    parts: AcquireParts,
    ask: AdmissionAsk | undefined,
    reply: readonly unknown[],
    from: number,
    dayEndsInMs: number,
  ) {
    this.#parts = parts;
    this.#ask = ask;
    this.#reply = reply;
    this.#from = from;
    this.#dayEndsInMs = dayEndsInMs;
    const bits = this.#at(0);
    const granted = this.#at(2);
    this.granted = granted < 0 ? undefined : granted;
    this.refused = this.#toTold(bits % bitsOfLimits);
    this.would = this.#toTold(Math.floor(bits / bitsOfLimits) % bitsOfLimits);
    this.insideBits = Math.floor(bits / bitsOfLimits ** 2);
  }

  get rateWaitMs(): number {
    return this.#at(1);
  }

  /** What stands after it. */
  get states(): readonly AdmissionState[] {
    const { inFlight, rates } = this.#parts.policies;
    const ratesAt = headReply + inFlight.length;
    const counts = {
      inFlight: (place: number) => this.#at(headReply + place),
      aheadMs: (place: number) => this.#at(ratesAt + place) / 1000,
      used: (place: number) => this.#used(place),
    };
    const limits = { inFlight, rates, budgets: this.#budgets() };
    return statesOf(limits, this.#ask, counts, this.#dayEndsInMs, Number(this.#reply[0]));
  }

  #at(index: number): number {
    return Number(this.#reply[this.#from + index]);
  }

  #budgets(): readonly BudgetPolicy[] {
    return this.#ask?.budget === undefined ? noBudgets : this.#parts.policies.budgets;
  }

  #used(place: number): BudgetUse {
    const { inFlight, rates } = this.#parts.policies;
    const first = headReply + inFlight.length + rates.length + place * 3;
    return {
      calls: this.#at(first),
      tokens: this.#at(first + 1),
      costNanoUsd: this.#at(first + 2),
    };
  }

  #toTold(bits: number): readonly Told[] {
    if (bits === 0) return none;
    const { inFlight, rates } = this.#parts.policies;
    const told: Told[] = [];
    for (const [place, policy] of [...inFlight, ...rates, ...this.#budgets()].entries()) {
      if ((bits & (1 << place)) === 0) continue;
      const use = this.#used(place - inFlight.length - rates.length);
      told.push({ reason: reasonOf(policy, use, this.#ask?.budget), dimension: policy.dimension });
    }
    return told.toSorted(byDimension);
  }
}
