import type {
  AdmissionAsk,
  AdmissionDimension,
  AdmissionState,
  BudgetUse,
  Reason,
} from "@sluice/contract";
import { headReply, wrongTypeBits } from "./acquire-script.ts";
import { byDimension, statesOf, type Counts } from "./acquire-states.ts";
import type { Keys } from "./keys.ts";
import { marksKey } from "./mark-lua.ts";
import { isObserved, reasonOf, type Policies } from "./policies.ts";
import { wrongType, type WrongType } from "./wrong-type.ts";

/** One request as the script takes it. */
export interface AcquireCall {
  readonly id: string;
  /** Of its own; the others are the same for all requests. */
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
  /** Where the request is counted while it is in flight. */
  readonly inFlightKeys: readonly string[];
  /** Where its reservation is. */
  readonly budgetKey: string | undefined;
}

export interface AcquireParts {
  readonly policies: Policies;
  readonly keys: Keys;
}

/** The keys that all requests share, in the script's order. */
export function sharedKeys(
  { policies, keys }: AcquireParts,
  ask: AdmissionAsk | undefined,
  day: string,
): string[] {
  const shared: string[] = [];
  for (const policy of policies.inFlight) {
    if (policy.scope === "global") shared.push(policy.keyOf(keys, ""));
  }
  for (const policy of policies.rates) shared.push(policy.keyOf(keys));
  if (ask?.budget !== undefined && policies.budgets.length > 0) shared.push(keys.budgets(day));
  if (isObserved(policies, ask)) shared.push(marksKey(keys));
  if (policies.shares !== undefined) shared.push(keys.shares);
  return shared;
}

export function encodeAcquire(
  { policies, keys }: AcquireParts,
  id: string,
  subject: string,
  ask: AdmissionAsk | undefined,
  day: string,
): AcquireCall {
  const own: string[] = [];
  const inFlightKeys: string[] = [];
  for (const policy of policies.inFlight) {
    const key = policy.keyOf(keys, subject);
    inFlightKeys.push(key);
    if (policy.scope === "user") own.push(key);
  }
  const budget = policies.budgets.length > 0 ? ask?.budget : undefined;
  if (budget === undefined)
    return { id, keys: own, args: [id], inFlightKeys, budgetKey: undefined };
  const { price } = budget;
  const args: (string | number)[] = [
    id,
    budget.inputTokens,
    budget.outputTokens,
    budget.minOutputTokens,
    price?.inputNanoUsdPerToken ?? "",
    price?.outputNanoUsdPerToken ?? "",
  ];
  if (policies.budgets.some(({ scope }) => scope === "user")) args.push(keys.hashed(subject));
  return { id, keys: own, args, inFlightKeys, budgetKey: keys.budgets(day) };
}

interface Told {
  readonly reason: Reason;
  readonly dimension: AdmissionDimension;
}

/** What the script answered, by dimension. */
export interface AcquireAnswer {
  readonly refused: readonly Told[];
  readonly would: readonly Told[];
  /** For each set in flight, whether the request is in it, or beside it for it would have been refused. */
  readonly isInside: readonly boolean[];
  readonly rateWaitMs: number;
  /** Output tokens set aside; undefined without budgets. */
  readonly granted: number | undefined;
  /** What stands after it. Worked out when it is read: only who shows it asks for it. */
  readonly states: readonly AdmissionState[];
}

/** How many values a request's answer has. */
export function answerLength({ policies }: AcquireParts, ask: AdmissionAsk | undefined): number {
  const { inFlight, rates, budgets } = policies;
  const days = ask?.budget === undefined ? 0 : budgets.length;
  return headReply + inFlight.length + rates.length + days * 3;
}

const none: readonly Told[] = [];

/** @param from where the request's answer begins in the reply, which begins with the time */
export function decodeAcquire(
  { policies }: AcquireParts,
  ask: AdmissionAsk | undefined,
  reply: readonly unknown[],
  from: number,
  dayEndsInMs: number,
): AcquireAnswer | WrongType {
  const { inFlight, rates } = policies;
  const budgets = ask?.budget === undefined ? [] : policies.budgets;
  const at = (index: number): number => Number(reply[from + index]);
  const [refusedBits, wouldBits, insideBits, granted] = [at(0), at(1), at(2), at(4)];
  if (refusedBits === wrongTypeBits) return wrongType;
  const ratesAt = headReply + inFlight.length;
  const budgetsAt = ratesAt + rates.length;
  const used = (place: number): BudgetUse => {
    const first = budgetsAt + place * 3;
    return { calls: at(first), tokens: at(first + 1), costNanoUsd: at(first + 2) };
  };
  const toTold = (bits: number): readonly Told[] => {
    if (bits === 0) return none;
    const told: Told[] = [];
    for (const [place, policy] of [...inFlight, ...rates, ...budgets].entries()) {
      if ((bits & (1 << place)) === 0) continue;
      const use = used(place - inFlight.length - rates.length);
      told.push({ reason: reasonOf(policy, use, ask?.budget), dimension: policy.dimension });
    }
    return told.toSorted(byDimension);
  };
  const counts: Counts = {
    inFlight: (place) => at(headReply + place),
    aheadMs: (place) => at(ratesAt + place) / 1000,
    used,
  };
  return {
    refused: toTold(refusedBits),
    would: toTold(wouldBits),
    isInside: inFlight.map((_, place) => (insideBits & (1 << place)) !== 0),
    rateWaitMs: at(3),
    granted: granted < 0 ? undefined : granted,
    get states() {
      return statesOf({ inFlight, rates, budgets }, ask, counts, dayEndsInMs, Number(reply[0]));
    },
  };
}
