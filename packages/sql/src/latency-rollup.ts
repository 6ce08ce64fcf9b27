import { functionSchema, parseOptions, type Clock } from "@sluice/contract";
import { z } from "zod";
import { callQuietly } from "./call-quietly.ts";
import { clockSchema } from "./clock-schema.ts";
import type { SqlDatabase } from "./database.ts";
import { errorCode } from "./error-code.ts";
import { rollUpLatency } from "./latency-roll-up.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";

/** A change of state, told once each: `failing` while hours can't be rolled up, `rolling` when they can again. */
export interface LatencyRollupProblem {
  readonly state: "rolling" | "failing";
  /** SQLSTATE or the system's code, where there is one. The error's text is left out. */
  readonly code: string | undefined;
}

export interface LatencyRollupOptions {
  readonly clock: Clock;
  /** From 0 to 1: spreads the processes' turns. */
  readonly random: () => number;
  readonly names?: SqlNameOptions;
  /** Between two looks for hours that are over, ± 20 %. Default: 300 000, five minutes. */
  readonly everyMs?: number;
  /** What it throws is ignored. */
  readonly onProblem?: (problem: LatencyRollupProblem) => void;
}

export interface LatencyRollup {
  /** No further hour is begun; resolves when the one under way is done. Never rejects. */
  close(): Promise<void>;
}

const optionsSchema = z.strictObject({
  clock: clockSchema,
  random: functionSchema,
  names: z.unknown().optional(),
  everyMs: z.number().min(1000).max(86_400_000).default(300_000),
  onProblem: functionSchema.optional(),
});

/**
 * Runs `rollUpLatency` at once and then now and then. Each process may: whoever comes first does the work.
 * It does not keep the process alive.
 * @throws ConfigError naming the option that is wrong, or is no such option.
 */
export function latencyRollup(
  db: Pick<SqlDatabase, "transaction">,
  options: LatencyRollupOptions,
): LatencyRollup {
  const { clock, random, names = {} } = options;
  const { everyMs } = parseOptions("latencyRollup", optionsSchema, options);
  // Told now, and not at each turn.
  sqlNames(names);
  const ending = new AbortController();
  let state: LatencyRollupProblem["state"] = "rolling";
  let underWay: Promise<void> | undefined;

  const tell = (next: LatencyRollupProblem["state"], code?: string): void => {
    if (next === state) return;
    state = next;
    callQuietly(() => options.onProblem?.({ state: next, code }));
  };

  const rollUp = async (): Promise<void> => {
    try {
      await rollUpLatency(db, { names, signal: ending.signal });
      tell("rolling");
    } catch (error) {
      if (!ending.signal.aborted) tell("failing", errorCode(error));
    }
    underWay = undefined;
  };

  const turn = (): void => {
    underWay ??= rollUp();
  };
  const stop = clock.every(everyMs * (0.8 + 0.4 * random()), turn);
  turn();

  return {
    async close() {
      stop();
      ending.abort();
      await underWay;
    },
  };
}
