import { type Clock, type MetricSample, type MetricSink, parseOptions } from "@sluice/contract";
import { z } from "zod";
import { callQuietly } from "./call-quietly.ts";
import type { SqlDatabase } from "./database.ts";
import { openCircuits } from "./metric-circuits.ts";
import { addSample, isCountable } from "./metric-samples.ts";
import { metricTimeline } from "./metric-timeline.ts";
import { type MetricWindowsProblem, metricWindowWriter } from "./metric-window-writer.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";

export interface MetricWindowsOptions {
  readonly clock: Clock;
  /** From 0 to 1; spreads retries. `Math.random` will do. */
  readonly random: () => number;
  /** Of this process alone, at most 128 characters: a random UUID, say. */
  readonly instanceId: string;
  readonly names?: SqlNameOptions;
  /** Features times arms times providers of one window; samples of further ones are dropped. Default 1000. */
  readonly maxSeries?: number;
  /** Windows that may wait for the database; the oldest is dropped for one more. Default 30. */
  readonly maxPending?: number;
  /** How long `close` waits for the database. Default 5000. */
  readonly closeMs?: number;
  /**
   * A serverless host's hook: given a promise, whenever samples wait, that resolves when none does. With it
   * a window is written each second in which something came, not only when it is over.
   */
  readonly waitUntil?: (written: Promise<void>) => void;
  /** What it throws is ignored. */
  readonly onProblem?: (problem: MetricWindowsProblem) => void;
}

export interface MetricWindows {
  /** For `metrics` of a guard. It counts in memory: no request waits for the database. */
  readonly sink: MetricSink;
  /** Samples, and single values of samples, that no row holds. */
  dropped(): number;
  /**
   * Resolves when all that had come is written or lost, also of the window that is not over; waits while the
   * database is away.
   */
  flush(): Promise<void>;
  /** Takes no more samples, writes what is there, and gives it up after `closeMs`. Never rejects. */
  close(): Promise<void>;
}

const lookMs = 1_000;

const isFunction = (value: unknown): boolean => typeof value === "function";

const optionsSchema = z.strictObject({
  clock: z.custom<Clock>((value) => isFunction((value as Partial<Clock> | undefined)?.every), {
    error: "a clock",
  }),
  random: z.custom<() => number>(isFunction, { error: "a function" }),
  names: z.custom<SqlNameOptions>().optional(),
  waitUntil: z.custom<(written: Promise<void>) => void>(isFunction).optional(),
  onProblem: z.custom<(problem: MetricWindowsProblem) => void>(isFunction).optional(),
  instanceId: z.string().regex(/^\P{Cc}{1,128}$/u, {
    error: "1 to 128 characters, no control characters",
  }),
  maxSeries: z.int().min(1).max(100_000).default(1_000),
  maxPending: z.int().min(1).max(10_000).default(30),
  closeMs: z.int().min(1).max(2_147_000_000).default(5_000),
});

/**
 * Counts samples in windows of 10 seconds and writes each window once it is over, as rows of this process.
 * What was not written when the process is killed is lost, and nothing else.
 * @throws ConfigError naming the option that is wrong.
 */
export function metricWindows(
  db: Pick<SqlDatabase, "query">,
  options: MetricWindowsOptions,
): MetricWindows {
  const parsed = parseOptions("metricWindows", optionsSchema, options);
  const { clock, random, instanceId, names, maxSeries, maxPending, closeMs, waitUntil } = parsed;
  const circuits = openCircuits(maxSeries);
  const writer = metricWindowWriter({
    query: db.query,
    clock,
    random,
    table: sqlNames(names).table("metric_windows"),
    instanceId,
    maxPending,
    onProblem: (problem) => parsed.onProblem?.(problem),
  });
  const timeline = metricTimeline({
    clock,
    circuits,
    maxSeries,
    maxWindows: maxPending,
    onEnd: (window) => writer.add(window),
    onLost: (count) => writer.lose(count),
  });
  /** How many came, to see whether any did while others were written. */
  let arrived = 0;
  let release: (() => void) | undefined;
  let isReleasing = false;
  let closed: Promise<void> | undefined;

  const count = (sample: MetricSample): void => {
    if (sample.kind === "circuit") {
      timeline.advance();
      if (!circuits.note(sample)) writer.lose(1);
      return;
    }
    const window = timeline.now();
    const provider = "provider" in sample ? sample.provider : undefined;
    const series = isCountable(sample)
      ? window.seriesOf(sample.feature, sample.arm, provider ?? "")
      : undefined;
    if (series === undefined) {
      writer.lose(1);
      return;
    }
    window.samples += 1;
    writer.lose(addSample(series, sample));
  };

  const holdOpen = (hold: (written: Promise<void>) => void): void => {
    const written = new Promise<void>((resolve) => {
      release = resolve;
    });
    callQuietly(() => hold(written));
  };

  const sink: MetricSink = (sample) => {
    if (closed !== undefined) {
      writer.lose(1);
      return;
    }
    arrived += 1;
    count(sample);
    if (waitUntil !== undefined && release === undefined) holdOpen(waitUntil);
  };

  const flush = (): Promise<void> => {
    if (closed !== undefined) return closed;
    timeline.advance();
    const unfinished = timeline.open();
    if (unfinished !== undefined) writer.add(unfinished);
    return writer.drain();
  };

  /** A serverless host may freeze the process once it is released, so nothing may wait then. */
  const releaseWhenWritten = async (): Promise<void> => {
    isReleasing = true;
    const before = arrived;
    await flush();
    isReleasing = false;
    if (arrived !== before) return;
    release?.();
    release = undefined;
  };

  const look = (): void => {
    timeline.advance();
    writer.tick();
    if (release !== undefined && !isReleasing) void releaseWhenWritten();
  };
  const stopLooking = clock.every(lookMs, look);

  const close = (): Promise<void> => {
    closed ??= new Promise<void>((resolve) => {
      const cancelDeadline = clock.after(closeMs, () => writer.giveUp());
      timeline.end();
      void writer.drain().then(() => {
        cancelDeadline();
        stopLooking();
        release?.();
        return resolve();
      });
    });
    return closed;
  };

  return { sink, dropped: () => writer.lost(), flush, close };
}
