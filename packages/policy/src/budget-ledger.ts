import {
  Reason,
  costNanoUsd,
  type BudgetAsk,
  type BudgetCaps,
  type BudgetUse,
  type Price,
  type Usage,
} from "@sluice/contract";

/** What one reservation set aside. */
export interface Reserved extends BudgetUse {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly price: Price | undefined;
}

export const unused: BudgetUse = { calls: 0, tokens: 0, costNanoUsd: 0 };

const free: Price = { inputNanoUsdPerToken: 0, outputNanoUsdPerToken: 0 };

/**
 * Sets aside the worst case of one call: its prompt and as much of the asked output as tokens and money
 * are left for. `use` is settled and reserved together, and stays within the caps.
 */
export function reserve(
  use: BudgetUse,
  caps: BudgetCaps,
  ask: BudgetAsk,
): { readonly reserved: Reserved } | { readonly refused: Reason } {
  if (caps.calls !== undefined && use.calls + 1 > caps.calls) {
    return { refused: Reason.BUDGET_CALLS };
  }
  const least = Math.min(ask.minOutputTokens, ask.outputTokens);
  let outputTokens = ask.outputTokens;
  if (caps.tokens !== undefined) {
    outputTokens = Math.min(outputTokens, caps.tokens - use.tokens - ask.inputTokens);
    if (outputTokens < least) return { refused: Reason.BUDGET_TOKENS };
  }
  const price = ask.price ?? free;
  if (caps.costNanoUsd !== undefined) {
    // What has no known price can't be held under a cap on money.
    if (ask.price === undefined) return { refused: Reason.BUDGET_COST };
    const left = caps.costNanoUsd - use.costNanoUsd - ask.inputTokens * price.inputNanoUsdPerToken;
    const affordable =
      price.outputNanoUsdPerToken === 0
        ? Number.POSITIVE_INFINITY
        : Math.floor(left / price.outputNanoUsdPerToken);
    outputTokens = Math.min(outputTokens, affordable);
    if (left < 0 || outputTokens < least) return { refused: Reason.BUDGET_COST };
  }
  return { reserved: worstCase(ask, outputTokens) };
}

/** A call with its prompt and so much output, and what they cost. */
export function worstCase({ inputTokens, price }: BudgetAsk, outputTokens: number): Reserved {
  return {
    calls: 1,
    inputTokens,
    outputTokens,
    tokens: inputTokens + outputTokens,
    costNanoUsd: costNanoUsd({ inputTokens, outputTokens }, price ?? free),
    price,
  };
}

export function add(use: BudgetUse, more: BudgetUse): BudgetUse {
  return {
    calls: use.calls + more.calls,
    tokens: use.tokens + more.tokens,
    costNanoUsd: use.costNanoUsd + more.costNanoUsd,
  };
}

/**
 * Replaces a reservation by real usage; without usage it stays charged whole, and so with usage that can't
 * be a count of tokens: one NaN would lift every cap of the run.
 */
export function settle(use: BudgetUse, reserved: Reserved, usage: Usage | undefined): BudgetUse {
  if (usage === undefined || !isCount(usage.inputTokens) || !isCount(usage.outputTokens)) {
    return use;
  }
  return {
    calls: use.calls,
    tokens: use.tokens - reserved.tokens + usage.inputTokens + usage.outputTokens,
    costNanoUsd:
      use.costNanoUsd - reserved.costNanoUsd + costNanoUsd(usage, reserved.price ?? free),
  };
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Gives a reservation back: the call never left. */
export function giveBack(use: BudgetUse, reserved: Reserved): BudgetUse {
  return {
    calls: use.calls - reserved.calls,
    tokens: use.tokens - reserved.tokens,
    costNanoUsd: use.costNanoUsd - reserved.costNanoUsd,
  };
}
