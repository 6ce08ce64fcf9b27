import {
  type Clock,
  ConfigError,
  type EventSink,
  type OutcomeEvent,
  type SluiceEvent,
} from "@sluice/contract";
import { callQuietly } from "./call-quietly.ts";
import type { SqlDatabase } from "./database.ts";
import { errorCode } from "./error-code.ts";
import { type SqlNames, sqlNames } from "./names.ts";
import { type GenerationRecord, recordOfOutcome } from "./record-of-outcome.ts";
import { recordParameters, type RecordStatements, recordStatements } from "./record-statements.ts";

/**
 * How writing goes. `written`: as it should, again. `away`: the database takes no write, and rows wait.
 * `refused`: the table turned rows down for what they hold, and those are lost. `dropping`: rows came faster
 * than they were written, and the oldest were lost.
 */
export type RecordWriterState = "written" | "away" | "refused" | "dropping";

/** A change of state; told once each, never per request or row. */
export interface RecordProblem {
  readonly state: RecordWriterState;
  /** SQLSTATE or the system's code, where there is one. The error's text is left out: it may quote rows. */
  readonly code?: string;
  /** Rows that wait. */
  readonly pending: number;
  /** Rows lost since the start. */
  readonly dropped: number;
}

export interface RecordWriterOptions {
  readonly clock: Clock;
  readonly names?: SqlNames;
  /**
   * `insert` (default) adds a row per outcome. `fill` inserts nothing: it fills the columns that are still
   * null in the product's own row of the same `request_id`, and waits for that row for 5 s.
   */
  readonly mode?: "insert" | "fill";
  /** Rows that may wait; the oldest is dropped for one more. Default 10 000. */
  readonly capacity?: number;
  /** Rows of one statement. Default 200. */
  readonly batchRows?: number;
  /** How long a row waits for others. Default 200. */
  readonly batchMs?: number;
  /** How long `close` waits for the database. Default 5000. */
  readonly closeMs?: number;
  /** A serverless host's hook: given a promise, whenever rows wait, that resolves when none does. */
  readonly waitUntil?: (written: Promise<void>) => void;
  readonly onProblem?: (problem: RecordProblem) => void;
}

export interface RecordWriter {
  /** Takes the outcomes among the events. It stores a reference only: no request waits for the database. */
  readonly sink: EventSink;
  /** Rows lost since the start: dropped for newer ones, refused, without a row to fill, or left at `close`. */
  dropped(): number;
  /** Rows that wait for the database's answer, or in mode `fill` for the product's row. */
  pending(): number;
  /** Resolves when every row that had come is acknowledged or lost; waits while the database is away. */
  flush(): Promise<void>;
  /** Takes no more rows, writes what is pending, and gives it up after `closeMs`. Never rejects. */
  close(): Promise<void>;
}

const backOffStartMs = 100;
const backOffMaxMs = 5_000;
/** Without refused or dropped rows for so long, writing goes as it should again. */
const calmMs = 10_000;
/** How long, and how often, mode `fill` looks for the product's row. */
const fillWaitMs = 5_000;
const fillRetryMs = 1_000;

/**
 * Writes generation records in batches, one statement at a time. Rows whose write failed are written again,
 * and not twice where the answer alone was lost.
 * @throws ConfigError for a size under 1.
 */
export function recordWriter(
  db: Pick<SqlDatabase, "query">,
  options: RecordWriterOptions,
): RecordWriter {
  const { clock, names = sqlNames(), mode = "insert", waitUntil } = options;
  const { capacity = 10_000, batchMs = 200, closeMs = 5_000 } = options;
  assertSize("recordWriter.capacity", capacity);
  assertSize("recordWriter.batchRows", options.batchRows ?? 200);
  const batchRows = Math.min(options.batchRows ?? 200, capacity);

  /** Rows are numbered since the start; number n is at n % capacity, and those from head to tail wait. */
  const ring = Array.from<OutcomeEvent | undefined>({ length: capacity });
  let head = 0;
  let tail = 0;
  /** Rows numbered below are written without waiting for a full batch. */
  let dueTo = 0;
  /** The statement under way covers the rows up to here. */
  let writingTo = 0;
  /** Rows dropped while the statement under way covers them: it may yet write them. */
  let droppedInFlight = 0;
  let lost = 0;
  let hasDropped = false;

  /** Rows of the next statement; fewer while a row to be refused is looked for. */
  let size = batchRows;
  let statements: RecordStatements | undefined;
  /** The last statement failed, but may have been carried out. */
  let isUncertain = false;
  let isWriting = false;
  let backOffMs = backOffStartMs;
  let armed: "no" | "later" | "now" | "backing off" = "no";
  let disarm: (() => void) | undefined;

  /** Mode `fill`: what found no row yet. */
  let early: OutcomeEvent[] = [];
  let cancelRetry: (() => void) | undefined;

  let state: RecordWriterState = "written";
  let troubledAtMs = 0;
  let waiters: { readonly to: number; readonly resolve: () => void }[] = [];
  let release: (() => void) | undefined;
  let closed: Promise<void> | undefined;
  let isGivenUp = false;

  const pending = (): number => tail - head + early.length;

  const sink = (event: SluiceEvent): void => {
    if (event.event !== "outcome") return;
    if (closed !== undefined) {
      lost += 1;
      return;
    }
    push(event);
    if (waitUntil !== undefined && release === undefined) holdOpen(waitUntil);
  };

  const push = (event: OutcomeEvent): void => {
    if (tail - head === capacity) dropOldest();
    ring[tail % capacity] = event;
    tail += 1;
    if (isWriting) return;
    if (armed === "no") arm("later", batchMs);
    if (armed === "later" && tail - head >= batchRows) arm("now", 0);
  };

  const dropOldest = (): void => {
    hasDropped = true;
    if (head < writingTo) droppedInFlight += 1;
    else lost += 1;
    head += 1;
  };

  const holdOpen = (hold: (written: Promise<void>) => void): void => {
    const written = new Promise<void>((resolve) => {
      release = resolve;
    });
    callQuietly(() => hold(written));
  };

  const arm = (how: "later" | "now" | "backing off", delayMs: number): void => {
    disarm?.();
    armed = how;
    disarm = clock.after(delayMs, writeAll);
  };

  const rest = (): void => {
    disarm?.();
    disarm = undefined;
    armed = "no";
  };

  /** Writes what is there, be the batch full or not. */
  const writeAll = (): void => {
    dueTo = tail;
    if (isWriting) return;
    rest();
    void writeWhatIsDue();
  };

  const isDue = (): boolean => tail > head && (head < dueTo || tail - head >= batchRows);

  const writeWhatIsDue = async (): Promise<void> => {
    isWriting = true;
    let isAway = false;
    while (!isAway && isDue()) {
      isAway = !(await writeNext());
      settle();
    }
    isWriting = false;
    if (isGivenUp || tail === head) return;
    if (!isAway) {
      arm("later", batchMs);
      return;
    }
    arm("backing off", backOffMs);
    backOffMs = Math.min(backOffMs * 2, backOffMaxMs);
  };

  /** False when the database is away. */
  const writeNext = async (): Promise<boolean> => {
    const from = head;
    const to = Math.min(from + size, tail);
    const events = eventsBetween(from, to);
    writingTo = to;
    const { code, places } = await write(events);
    const droppedMeanwhile = droppedInFlight;
    writingTo = 0;
    droppedInFlight = 0;
    if (isGivenUp) return false;
    if (code === undefined) {
      acknowledge(to);
      if (places !== undefined) keepUnmatched(events, places);
      isUncertain = false;
      backOffMs = backOffStartMs;
      size = Math.min(size * 2, batchRows);
      tellWritten();
      return true;
    }
    lost += droppedMeanwhile;
    if (!isRefusal(code)) {
      isUncertain = true;
      tell("away", code);
      return false;
    }
    if (to - from > 1) {
      size = (to - from) >> 1;
      return true;
    }
    if (head < to) lost += 1;
    acknowledge(to);
    troubledAtMs = clock.monotonicMs();
    tell("refused", code);
    return true;
  };

  /** The error's code, empty where it has none; without an error, which records found their row to fill. */
  const write = async (
    events: readonly OutcomeEvent[],
  ): Promise<{ readonly code?: string; readonly places?: ReadonlySet<number> }> => {
    try {
      statements ??= await recordStatements(db.query, names, mode);
      const records = events
        .map(recordOfOutcome)
        .filter((record): record is GenerationRecord => record !== undefined);
      const { rows } = await db.query<{ place: number }>(
        isUncertain ? statements.again : statements.first,
        recordParameters(records),
      );
      return mode === "fill" ? { places: new Set(rows.map((row) => row.place)) } : {};
    } catch (error) {
      const code = errorCode(error) ?? "";
      // The table may be made or altered before the next try.
      if (!isRefusal(code)) statements = undefined;
      return { code };
    }
  };

  const eventsBetween = (from: number, to: number): readonly OutcomeEvent[] => {
    const events: OutcomeEvent[] = [];
    for (let number = from; number < to; number += 1) {
      const event = ring[number % capacity];
      if (event !== undefined) events.push(event);
    }
    return events;
  };

  const acknowledge = (to: number): void => {
    for (; head < to; head += 1) ring[head % capacity] = undefined;
  };

  const keepUnmatched = (events: readonly OutcomeEvent[], places: ReadonlySet<number>): void => {
    for (const [index, event] of events.entries()) {
      if (places.has(index + 1)) continue;
      const isTimely = clock.wallMs() - event.at_ms < fillWaitMs;
      if (isTimely && closed === undefined && pending() < capacity) early.push(event);
      else lost += 1;
    }
    if (early.length > 0) cancelRetry ??= clock.after(fillRetryMs, retryEarly);
  };

  const retryEarly = (): void => {
    cancelRetry?.();
    cancelRetry = undefined;
    for (const event of early.splice(0)) push(event);
  };

  /** Lets those go on who wait for rows that are acknowledged or lost by now. */
  const settle = (): void => {
    if (waiters.length > 0) {
      const done = waiters.filter((waiter) => waiter.to <= head);
      waiters = waiters.filter((waiter) => waiter.to > head);
      for (const waiter of done) waiter.resolve();
    }
    if (pending() === 0) {
      release?.();
      release = undefined;
    }
  };

  const tellWritten = (): void => {
    const isCalm = clock.monotonicMs() - troubledAtMs >= calmMs;
    if (state === "away") {
      tell("written");
    } else if (hasDropped) {
      troubledAtMs = clock.monotonicMs();
      if (state === "written") tell("dropping");
    } else if (isCalm) {
      tell("written");
    }
    hasDropped = false;
  };

  const tell = (next: RecordWriterState, code?: string): void => {
    if (state === next) return;
    state = next;
    callQuietly(() =>
      options.onProblem?.({
        state,
        ...(code !== undefined && code !== "" && { code }),
        pending: pending(),
        dropped: lost,
      }),
    );
  };

  const flush = (): Promise<void> => {
    if (tail === head) return Promise.resolve();
    const flushed = new Promise<void>((resolve) => {
      waiters.push({ to: tail, resolve });
    });
    if (armed === "backing off") dueTo = tail;
    else writeAll();
    return flushed;
  };

  const giveUp = (): void => {
    isGivenUp = true;
    lost += pending() + droppedInFlight;
    early = [];
    acknowledge(tail);
    rest();
    settle();
  };

  const close = (): Promise<void> => {
    closed ??= new Promise<void>((resolve) => {
      const cancelDeadline = clock.after(closeMs, giveUp);
      retryEarly();
      backOffMs = backOffStartMs;
      if (armed === "backing off") rest();
      void flush().then(() => {
        cancelDeadline();
        rest();
        return resolve();
      });
    });
    return closed;
  };

  return { sink, dropped: () => lost, pending, flush, close };
}

/** Class 22 is what the data is not, 23 what the table does not allow, P0 what a trigger raises. */
function isRefusal(code: string): boolean {
  return /^(?:22|23|P0)[0-9A-Z]{3}$/.test(code);
}

function assertSize(option: string, size: number): void {
  if (Number.isInteger(size) && size >= 1) return;
  throw new ConfigError({ option, got: String(size), expected: "a whole number from 1" });
}
