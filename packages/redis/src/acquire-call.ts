import type { AdmissionAsk, BudgetAsk } from "@sluice/contract";
import { headReply, namesSubjects } from "./acquire-script.ts";
import type { Counted } from "./counted.ts";
import type { Keys } from "./keys.ts";
import { marksKey } from "./mark-lua.ts";
import { isObserved, type Policies } from "./policies.ts";

/** One request as the script takes it. */
export interface AcquireCall {
  readonly id: string;
  /** As it stands in Redis; undefined where nothing is counted by subject. */
  readonly subject: string | undefined;
  readonly budget: BudgetAsk | undefined;
}

export interface AcquireParts {
  readonly policies: Policies;
  readonly keys: Keys;
}

/** In the script's order. */
export function keysOf(
  { policies, keys }: AcquireParts,
  ask: AdmissionAsk | undefined,
  day: string,
): readonly string[] {
  const all = [...policies.inFlight, ...policies.rates].map((policy) => policy.keyOf(keys));
  if (ask?.budget !== undefined && policies.budgets.length > 0) all.push(keys.budgets(day));
  if (isObserved(policies, ask)) all.push(marksKey(keys));
  if (policies.shares !== undefined) all.push(keys.shares);
  return all;
}

/** What counts requests in flight whose bits these are. */
export function countedBy(
  { policies, keys }: AcquireParts,
  insideBits: number,
): readonly Counted[] {
  const { shard } = keys;
  return [false, true].flatMap((isCandidate) => {
    const [set, lists] = (["global", "user"] as const).map((scope) =>
      policies.inFlight.find(
        (policy, place) =>
          policy.scope === scope &&
          policy.isCandidate === isCandidate &&
          (insideBits & (1 << place)) !== 0,
      ),
    );
    if ((set ?? lists) === undefined) return [];
    return [{ shard, set: set?.keyOf(keys), lists: lists?.keyOf(keys) }];
  });
}

export function encodeAcquire(
  { policies, keys }: AcquireParts,
  id: string,
  subject: string,
  ask: AdmissionAsk | undefined,
): AcquireCall {
  const budget = policies.budgets.length > 0 ? ask?.budget : undefined;
  const isNamed = namesSubjects(policies, budget !== undefined);
  return { id, subject: isNamed ? keys.hashed(subject) : undefined, budget };
}

/** The arguments of all, of whom all bring a budget or none does: column by column, and budgets by requests. */
export function pushArguments(
  args: (string | number)[],
  calls: readonly { readonly call: AcquireCall }[],
): void {
  for (const { call } of calls) args.push(call.id);
  for (const { call } of calls) if (call.subject !== undefined) args.push(call.subject);
  for (const { call } of calls) {
    const { budget } = call;
    if (budget === undefined) return;
    const { inputTokens, outputTokens, minOutputTokens, price } = budget;
    args.push(
      inputTokens,
      outputTokens,
      minOutputTokens,
      price?.inputNanoUsdPerToken ?? "",
      price?.outputNanoUsdPerToken ?? "",
    );
  }
}

/** How many values a request's answer has. */
export function answerLength({ policies }: AcquireParts, ask: AdmissionAsk | undefined): number {
  const { inFlight, rates, budgets } = policies;
  const days = ask?.budget === undefined ? 0 : budgets.length;
  return headReply + inFlight.length + rates.length + days * 3;
}
