import { parseOptions } from "@sluice/contract";
import { z } from "zod";

/** What a shadow may spend. */
export interface ShadowOptions {
  /**
   * Integer nano-dollars that its calls may cost in a day of UTC, in this process. The worst case of a call
   * is set aside before it starts; where less is left the outcome is STUBBED, `BUDGET_COST`. Every model
   * needs a price, and every provider a count of its prompt.
   */
  readonly costNanoUsdPerDay?: number | undefined;
  /** The most output tokens of one call. Default: that of the guard's budget. */
  readonly maxOutputTokens?: number | undefined;
}

const schema = z.strictObject({
  costNanoUsdPerDay: z.int().min(0).optional(),
  maxOutputTokens: z.int().min(1).optional(),
});

/** @throws ConfigError */
export function parseShadowOptions(options: ShadowOptions): ShadowOptions {
  return parseOptions("shadow", schema, options);
}
