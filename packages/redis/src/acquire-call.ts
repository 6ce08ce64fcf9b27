import type { AdmissionAsk, AdmissionDimension, AdmissionState, Reason } from "@sluice/contract";
import { headReply } from "./acquire-script.ts";
import type { Keys } from "./keys.ts";
import { reasonOf, type Policies } from "./policies.ts";

/** One request as the script takes it. */
export interface AcquireCall {
  readonly id: string;
  /** Of its own; the others are the same for all requests. */
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
  /** Where the request is counted while it is in flight. */
  readonly inFlightKeys: readonly string[];
  readonly budgetKeys: readonly string[];
}

export interface AcquireParts {
  readonly policies: Policies;
  readonly keys: Keys;
}

/** The keys that all requests share, in the script's order. */
export function sharedKeys(
  { policies, keys }: AcquireParts,
  hasBudget: boolean,
  day: string,
): string[] {
  const shared: string[] = [];
  for (const policy of policies.inFlight) {
    if (policy.scope === "global") shared.push(policy.keyOf(keys, ""));
  }
  for (const policy of policies.rates) shared.push(policy.keyOf(keys));
  if (!hasBudget) return shared;
  for (const policy of policies.budgets) {
    if (policy.scope === "global") shared.push(policy.keyOf(keys, "", day));
  }
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
  if (budget === undefined) return { id, keys: own, args: [id], inFlightKeys, budgetKeys: [] };
  const budgetKeys: string[] = [];
  for (const policy of policies.budgets) {
    const key = policy.keyOf(keys, subject, day);
    budgetKeys.push(key);
    if (policy.scope === "user") own.push(key);
  }
  const { price } = budget;
  const args = [
    id,
    budget.inputTokens,
    budget.outputTokens,
    budget.minOutputTokens,
    price?.inputNanoUsdPerToken ?? "",
    price?.outputNanoUsdPerToken ?? "",
  ];
  return { id, keys: own, args, inFlightKeys, budgetKeys };
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
  /** Redis' own clock. */
  readonly nowMs: number;
  readonly states: readonly AdmissionState[];
}

/** How many values a request's answer has. */
export function answerLength({ policies }: AcquireParts, hasBudget: boolean): number {
  const { inFlight, rates, budgets } = policies;
  return headReply + inFlight.length + rates.length + (hasBudget ? budgets.length * 3 : 0);
}

/** @param from where the request's answer begins in the reply, which begins with the time */
export function decodeAcquire(
  { policies }: AcquireParts,
  ask: AdmissionAsk | undefined,
  reply: readonly unknown[],
  from: number,
  dayEndsInMs: number,
): AcquireAnswer {
  const { inFlight, rates } = policies;
  const budgets = ask?.budget === undefined ? [] : policies.budgets;
  const at = (index: number): number => Number(reply[from + index]);
  const [refusedBits, wouldBits, insideBits] = [at(0), at(1), at(2)];
  const refused: Told[] = [];
  const would: Told[] = [];
  const states: AdmissionState[] = [];
  const nowMs = Number(reply[0]);
  let bit = 1;
  let place = headReply;
  const noUse = { calls: 0, tokens: 0, costNanoUsd: 0 };
  const tell = (policy: Parameters<typeof reasonOf>[0], used = noUse): void => {
    if ((refusedBits & bit) !== 0) {
      refused.push({ reason: reasonOf(policy, used), dimension: policy.dimension });
    }
    if ((wouldBits & bit) !== 0) {
      would.push({ reason: reasonOf(policy, used), dimension: policy.dimension });
    }
    bit *= 2;
  };
  const note = (
    policy: { isCandidate: boolean; dimension: AdmissionDimension },
    state: Omit<AdmissionState, "dimension">,
  ): void => {
    if (policy.isCandidate || state.limit === Number.MAX_SAFE_INTEGER) return;
    const { limit, remaining, resetMs } = state;
    states.push({
      dimension: policy.dimension,
      limit,
      remaining: Math.max(0, remaining),
      resetMs: Math.max(0, resetMs),
    });
  };
  for (const policy of inFlight) {
    const taken = refusedBits === 0 ? 1 : 0;
    note(policy, { limit: policy.limit, remaining: policy.limit - at(place) - taken, resetMs: 0 });
    tell(policy);
    place += 1;
  }
  for (const policy of rates) {
    const aheadMs = Math.max(0, at(place) / 1000 - nowMs);
    const taken = refusedBits === 0 ? 1 : 0;
    const remaining = Math.floor(policy.burst - aheadMs / policy.emissionMs) - taken;
    note(policy, { limit: policy.burst, remaining, resetMs: aheadMs });
    tell(policy);
    place += 1;
  }
  for (const policy of budgets) {
    const used = { calls: at(place), tokens: at(place + 1), costNanoUsd: at(place + 2) };
    const { calls, tokens, costNanoUsd } = policy.caps;
    const limit = calls ?? tokens ?? costNanoUsd ?? 0;
    const spent =
      calls !== undefined ? used.calls : tokens !== undefined ? used.tokens : used.costNanoUsd;
    note(policy, { limit, remaining: limit - spent, resetMs: dayEndsInMs });
    tell(policy, used);
    place += 3;
  }
  return {
    refused,
    would,
    isInside: inFlight.map((_, index) => Math.floor(insideBits / 2 ** index) % 2 === 1),
    rateWaitMs: at(3),
    granted: at(4) < 0 ? undefined : at(4),
    nowMs,
    states,
  };
}
