import { z } from "zod";
import type { Usage } from "./usage.ts";

const nanoUsd = z.int().nonnegative();

/** What a model costs, in integer nano-dollars a token ($0.15 per million tokens = 150). */
export const priceSchema = z.strictObject({
  inputNanoUsdPerToken: nanoUsd,
  outputNanoUsdPerToken: nanoUsd,
});

export type Price = z.infer<typeof priceSchema>;

/** Prices by model name; the user supplies them, Sluice knows none. */
export const priceTableSchema = z.record(z.string().min(1), priceSchema);

export type PriceTable = Readonly<Record<string, Price>>;

/** Cost in integer nano-dollars. */
export function costNanoUsd(usage: Usage, price: Price): number {
  return (
    usage.inputTokens * price.inputNanoUsdPerToken +
    usage.outputTokens * price.outputNanoUsdPerToken
  );
}
