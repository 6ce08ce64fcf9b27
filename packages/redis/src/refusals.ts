import {
  Reason,
  type AdmissionAsk,
  type AdmissionDimension,
  type AdmissionReply,
  type Clock,
} from "@sluice/contract";
import type { AcquireAnswer } from "./acquire-answer.ts";
import { isObserved, modesName, type Policies } from "./policies.ts";

type Refusal = Extract<AdmissionReply, { admitted: false }>;

/** What is told to those who are refused. */
export interface Refusals {
  /** @param dayEndsInMs when budgets begin anew */
  toReply(
    answer: AcquireAnswer,
    ask: AdmissionAsk | undefined,
    dayEndsInMs: number,
    shard?: number,
  ): Refusal;
  /** A refusal that is known before Redis is asked: the shard's rate refused just now, and would again. */
  remembered(ask: AdmissionAsk | undefined, shard: number): Refusal | undefined;
}

/** A rate that refused is not asked again before its time, but for no longer than this. */
const rememberedMs = 1000;

interface Shut {
  /** Until then the rate refuses whoever asks for the same. */
  readonly untilMs: number;
  /** When it lets one through again; later than the above where that is far off. */
  readonly freeAtMs: number;
}

export function createRefusals(parts: {
  readonly clock: Clock;
  readonly policies: Policies;
  readonly typicalWaitMs: () => number;
}): Refusals {
  const { clock, policies, typicalWaitMs } = parts;
  // By shard and what is asked for: what is refused under some modes says nothing of others. There are few.
  const shut = new Map<string, Shut>();
  let lastUntilMs = -Infinity;

  const remember = (ask: AdmissionAsk | undefined, shard: number, waitMs: number): void => {
    const now = clock.monotonicMs();
    const untilMs = now + Math.min(rememberedMs, waitMs);
    shut.set(nameOf(ask, shard), { untilMs, freeAtMs: now + waitMs });
    lastUntilMs = Math.max(lastUntilMs, untilMs);
  };

  return {
    toReply(answer, ask, dayEndsInMs, shard = 0) {
      let placeWaitMs: number | undefined;
      const waitOf = (dimension: AdmissionDimension): number => {
        if (dimension === "message_rate") return Math.max(1, answer.rateWaitMs);
        if (dimension === "user_budget" || dimension === "global_budget") {
          return Math.max(1, dayEndsInMs);
        }
        placeWaitMs ??= typicalWaitMs();
        return placeWaitMs;
      };
      const violated = answer.refused.map(({ dimension }) => dimension);
      // The longest wait counts, and of equal ones the one that names the subject's own doing.
      const [first] = answer.refused
        .map(({ reason, dimension }) => ({ reason, waitMs: waitOf(dimension) }))
        .toSorted((a, b) => b.waitMs - a.waitMs);
      const retryAfterMs = first?.waitMs ?? rememberedMs;
      // A shadow wants to be asked each time.
      const isOnlyRate = violated.length === 1 && violated[0] === "message_rate";
      if (isOnlyRate && !isObserved(policies, ask)) remember(ask, shard, retryAfterMs);
      return {
        admitted: false,
        reason: first?.reason ?? Reason.STORE_UNAVAILABLE,
        retryAfterMs,
        wouldRefuse: answer.would.map(({ reason }) => reason),
        violated,
        get states() {
          return answer.states;
        },
      };
    },
    remembered(ask, shard) {
      const now = clock.monotonicMs();
      if (now >= lastUntilMs) return undefined;
      const known = shut.get(nameOf(ask, shard));
      if (known === undefined || now >= known.untilMs) return undefined;
      return {
        admitted: false,
        reason: Reason.MESSAGE_RATE,
        retryAfterMs: known.freeAtMs - now,
        wouldRefuse: [],
        violated: ["message_rate"],
      };
    },
  };
}

const nameOf = (ask: AdmissionAsk | undefined, shard: number): string =>
  `${shard} ${ask?.budget === undefined} ${modesName(ask)}`;
