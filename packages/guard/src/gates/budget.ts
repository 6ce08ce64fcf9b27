import {
  Reason,
  type AskableSchema,
  type BudgetCaps,
  type BudgetStore,
  type Price,
  type Provider,
} from "@sluice/contract";
import type { Gate, GateSetting } from "./gate.ts";

export interface BudgetSettings {
  readonly caps: BudgetCaps;
  readonly maxOutputTokens: number;
  readonly minOutputTokens: number;
  readonly store: BudgetStore;
  readonly price: Price | undefined;
}

/** Has the run calls, tokens and money left? Reserves the worst case. */
export function budgetGate<In>(
  settings: BudgetSettings,
  provider: Provider<In>,
  schema: AskableSchema,
  setting: GateSetting,
): Gate<In> {
  const { caps, store, price, maxOutputTokens, minOutputTokens } = settings;
  // Without such a cap the prompt need not be counted.
  const countsPrompt = caps.tokens !== undefined || caps.costNanoUsd !== undefined;
  return {
    name: "budget",
    ...setting,
    reason: Reason.STORE_UNAVAILABLE,
    detail: describeCaps(settings),
    check(context) {
      // Only without a counter is a prompt 0; what a counter can't tell is not known.
      const inputTokens =
        countsPrompt && provider.inputTokens !== undefined
          ? provider.inputTokens(context.input, schema)
          : 0;
      if (!Number.isSafeInteger(inputTokens) || inputTokens < 0) {
        return { effect: "indeterminate", reason: Reason.BUDGET_TOKENS };
      }
      const reply = store.reserve(context.request.run, caps, {
        inputTokens,
        outputTokens: maxOutputTokens,
        minOutputTokens,
        price,
      });
      if (reply === "unavailable") {
        return { effect: "indeterminate", reason: Reason.STORE_UNAVAILABLE };
      }
      if (!reply.granted) return { effect: "divert", reason: reply.reason };
      const { reservation } = reply;
      context.reservation = reservation;
      return {
        effect: "allow",
        hold: {
          kind: "reservation",
          release: (end) => {
            if (end.how === "void") reservation.void();
            else reservation.settle(end.usage);
          },
        },
      };
    },
  };
}

function describeCaps({ caps, maxOutputTokens }: BudgetSettings): string {
  const parts: string[] = [];
  if (caps.calls !== undefined) parts.push(`${caps.calls} calls`);
  if (caps.tokens !== undefined) parts.push(`${caps.tokens} tokens`);
  if (caps.costNanoUsd !== undefined) parts.push(`${caps.costNanoUsd} nano-dollars`);
  return `${parts.join(", ")} a run; at most ${maxOutputTokens} output tokens a call`;
}
