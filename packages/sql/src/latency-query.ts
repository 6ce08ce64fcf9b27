import { parseOptions } from "@sluice/contract";
import { z } from "zod";
import type { SqlNameOptions } from "./names.ts";

export interface LatencyQuery {
  readonly names?: SqlNameOptions;
  /** Default: each provider that has rows. */
  readonly provider?: string;
  /** Rows created at this time or later. */
  readonly from: Date;
  /** Rows created before this time. */
  readonly to: Date;
  /** From 0 to 1, as 0.95. */
  readonly percentile: number;
}

export interface ProviderLatency {
  readonly provider: string;
  /** Rows that have a latency. */
  readonly count: number;
  readonly latencyMs: number;
}

const querySchema = z.strictObject({
  names: z.unknown().optional(),
  provider: z.string().optional(),
  from: z.date(),
  to: z.date(),
  percentile: z.number().min(0).max(1),
});

/** @throws ConfigError for a time that is none or a percentile outside 0 to 1. */
export function assertLatencyQuery(where: string, query: LatencyQuery): void {
  parseOptions(where, querySchema, query);
}
