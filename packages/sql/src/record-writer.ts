import {
  type Clock,
  type EventSink,
  functionSchema,
  type OutcomeEvent,
  parseOptions,
  type SluiceEvent,
} from "@sluice/contract";
import { z } from "zod";
import { callQuietly } from "./call-quietly.ts";
import type { SqlDatabase } from "./database.ts";
import { type SqlNameOptions, sqlNames } from "./names.ts";
import { recordBatches } from "./record-batches.ts";
import { recordBuffer } from "./record-buffer.ts";
import { type RecordProblem, recordReports } from "./record-reports.ts";
import { recordWriting } from "./record-writing.ts";
import { unmatchedRecords } from "./unmatched-records.ts";

export interface RecordWriterOptions {
  readonly clock: Clock;
  /** From 0, inclusive, to 1; spreads the tries of many processes while rows have to wait. */
  readonly random: () => number;
  readonly names?: SqlNameOptions;
  /**
   * `insert` (default) adds a row per outcome. `fill` inserts nothing: it fills the columns that are still
   * null in the product's own row of the same `request_id`, and waits for that row for 5 s. An object in
   * `metadata` gets our keys too; the product's own keys win.
   */
  readonly mode?: "insert" | "fill";
  /** Rows that may wait, 1 to 1 000 000; the oldest is dropped for one more. Default 10 000. */
  readonly capacity?: number;
  /** Rows of one statement, 1 to 10 000. Default 200. */
  readonly batchRows?: number;
  /** How long a row waits for others. Default 200. */
  readonly batchMs?: number;
  /** How long `close` waits for the database. Default 5000. */
  readonly closeMs?: number;
  /** A serverless host's hook: given a promise, whenever rows wait, that resolves when none does. */
  readonly waitUntil?: (written: Promise<void>) => void;
  /** Once per change of state; what it throws is ignored. */
  readonly onProblem?: (problem: RecordProblem) => void;
}

export interface RecordWriter {
  /**
   * Takes outcomes but those of a shadow, and subscribes to nothing else. It stores a reference only: no
   * request waits for the database.
   */
  readonly sink: EventSink;
  /** Rows lost since the start: dropped for newer ones, refused, without a row to fill, or left at `close`. */
  dropped(): number;
  /** Rows that wait for a database that takes them, or in mode `fill` for the product's row. */
  pending(): number;
  /**
   * Resolves when every row that had come is acknowledged or lost, or, in mode `fill`, did not find the
   * product's row yet: that one goes on waiting, and counts as pending. Waits while the database is away,
   * and while its table refuses all.
   */
  flush(): Promise<void>;
  /** Takes no more rows, writes what is pending, and gives it up after `closeMs`. Never rejects. */
  close(): Promise<void>;
}

const longestMs = 2_147_000_000;

const optionsSchema = z.strictObject({
  clock: z.custom<Clock>(
    (value) => typeof (value as Partial<Clock> | null | undefined)?.after === "function",
    { error: "a clock" },
  ),
  random: functionSchema,
  names: z.unknown().optional(),
  mode: z.enum(["insert", "fill"]).default("insert"),
  capacity: z.int().min(1).max(1_000_000).default(10_000),
  batchRows: z.int().min(1).max(10_000).default(200),
  batchMs: z.number().min(0).max(longestMs).default(200),
  closeMs: z.number().min(0).max(longestMs).default(5_000),
  waitUntil: functionSchema.optional(),
  onProblem: functionSchema.optional(),
});

/**
 * Writes generation records in batches, one statement at a time. Rows whose write failed are written again,
 * and not twice where the answer alone was lost. A row that the table refuses is lost alone. Where it refuses
 * at least five in a row, it is taken to refuse all: rows wait, within `capacity`, and the newest alone is
 * tried, at first after about 100 ms, then ever more rarely, at most 7.5 s apart. Each such try loses that one
 * row, until one is taken; then all that wait are written.
 * @throws ConfigError naming the option that is wrong, or is no such option.
 */
export function recordWriter(
  db: Pick<SqlDatabase, "query">,
  options: RecordWriterOptions,
): RecordWriter {
  const parsed = parseOptions("recordWriter", optionsSchema, options);
  const { clock, random, waitUntil, onProblem } = options;
  const { mode, capacity, batchMs, closeMs } = parsed;
  const buffer = recordBuffer<OutcomeEvent>(capacity);
  const batches = recordBatches(db.query, sqlNames(options.names), mode);
  const reports = recordReports({
    clock,
    counts: () => ({ pending: pending(), dropped: dropped() }),
    onProblem,
  });

  const writing = recordWriting({
    clock,
    random,
    buffer,
    batches,
    reports,
    batchRows: Math.min(parsed.batchRows, capacity),
    batchMs,
    onWritten(events, places) {
      if (places !== undefined) keepUnmatched(events, places);
    },
    onRefused() {
      lost += 1;
    },
    onEnd: () => settle(),
  });

  const unmatched = unmatchedRecords({ clock, onRetry: (event) => push(event) });

  /** Lost otherwise than by the buffer. */
  let lost = 0;
  let waiters: { readonly to: number; readonly resolve: () => void }[] = [];
  let release: (() => void) | undefined;
  let closed: Promise<void> | undefined;

  const pending = (): number => buffer.size + unmatched.size;
  const dropped = (): number => buffer.lost + lost;

  const take = (event: SluiceEvent): void => {
    // Whom a shadow calls answers nobody.
    if (event.event !== "outcome" || event.shadow === true) return;
    if (closed !== undefined) {
      lost += 1;
      return;
    }
    push(event);
    if (waitUntil !== undefined && release === undefined) holdOpen(waitUntil);
  };

  const push = (event: OutcomeEvent): void => {
    if (!buffer.push(event)) reports.dropped();
    writing.came();
  };

  const holdOpen = (hold: (written: Promise<void>) => void): void => {
    const written = new Promise<void>((resolve) => {
      release = resolve;
    });
    callQuietly(() => hold(written));
  };

  const keepUnmatched = (events: readonly OutcomeEvent[], places: ReadonlySet<number>): void => {
    for (const [index, event] of events.entries()) {
      if (places.has(index + 1)) continue;
      const mayWait = closed === undefined && pending() < capacity;
      if (!mayWait || !unmatched.keep(event)) lost += 1;
    }
  };

  /** Lets those go on who wait for rows that are acknowledged or lost by now. */
  const settle = (): void => {
    if (waiters.length > 0) {
      const done = waiters.filter((waiter) => waiter.to <= buffer.head);
      waiters = waiters.filter((waiter) => waiter.to > buffer.head);
      for (const waiter of done) waiter.resolve();
    }
    if (pending() === 0) {
      release?.();
      release = undefined;
    }
  };

  const flush = (): Promise<void> => {
    if (buffer.size === 0) return Promise.resolve();
    const flushed = new Promise<void>((resolve) => {
      waiters.push({ to: buffer.tail, resolve });
    });
    writing.hurry();
    return flushed;
  };

  const giveUp = (): void => {
    lost += unmatched.giveUp();
    buffer.clear();
    writing.end();
    settle();
  };

  const close = (): Promise<void> => {
    closed ??= new Promise<void>((resolve) => {
      const cancelDeadline = clock.after(closeMs, giveUp);
      unmatched.retry();
      writing.stopBackingOff();
      void flush().then(() => {
        cancelDeadline();
        writing.end();
        return resolve();
      });
    });
    return closed;
  };

  const sink = Object.assign(take, { subscribesTo: ["outcome"] as const });
  return { sink, dropped, pending, flush, close };
}
