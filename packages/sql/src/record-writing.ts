import type { Clock, OutcomeEvent } from "@sluice/contract";
import type { RecordBatches } from "./record-batches.ts";
import type { RecordBuffer } from "./record-buffer.ts";
import type { RecordReports } from "./record-reports.ts";

export interface RecordWritingOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly buffer: RecordBuffer<OutcomeEvent>;
  readonly batches: RecordBatches;
  readonly reports: RecordReports;
  /** Rows of one statement. */
  readonly batchRows: number;
  /** How long a row waits for others. */
  readonly batchMs: number;
  /** Rows left the buffer; `places`, from 1, of those that found their row to fill, where one has to be found. */
  readonly onWritten: (
    events: readonly OutcomeEvent[],
    places: ReadonlySet<number> | undefined,
  ) => void;
  /** A row left the buffer, refused by the table. */
  readonly onRefused: () => void;
  /** A statement has ended. */
  readonly onEnd: () => void;
}

/** Empties a buffer into the database, one statement at a time. */
export interface RecordWriting {
  /** A row came into the buffer. */
  came(): void;
  /** What waits is written without waiting for a full batch; while the database is away, at the next try. */
  hurry(): void;
  /** Waits no longer before the next try, and starts over with short waits. */
  stopBackingOff(): void;
  /** Writes no more; the answer to a statement under way is ignored. */
  end(): void;
}

const backOffStartMs = 100;
const backOffMaxMs = 5_000;

export function recordWriting(options: RecordWritingOptions): RecordWriting {
  const { clock, random, buffer, batches, reports, batchRows, batchMs } = options;
  /** Rows numbered below are written without waiting for a full batch. */
  let dueTo = 0;
  /** Rows numbered below may be written already: a statement with them had no answer. */
  let inDoubtTo = 0;
  /** Rows of the next statement; fewer while a row to be refused is looked for. */
  let size = batchRows;
  let isWriting = false;
  let hasEnded = false;
  let backOffMs = backOffStartMs;
  let armed: "no" | "later" | "now" | "backing off" = "no";
  let disarm: (() => void) | undefined;

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

  const writeAll = (): void => {
    dueTo = buffer.tail;
    if (isWriting) return;
    rest();
    void writeWhatIsDue();
  };

  const isDue = (): boolean => buffer.size > 0 && (buffer.head < dueTo || buffer.size >= batchRows);

  const writeWhatIsDue = async (): Promise<void> => {
    isWriting = true;
    let isAway = false;
    while (!isAway && isDue()) {
      isAway = !(await writeNext());
      options.onEnd();
    }
    isWriting = false;
    if (hasEnded || buffer.size === 0) return;
    if (!isAway) {
      arm("later", batchMs);
      return;
    }
    arm("backing off", backOffMs * (0.5 + random()));
    backOffMs = Math.min(backOffMs * 2, backOffMaxMs);
  };

  /** False when the database is away. */
  const writeNext = async (): Promise<boolean> => {
    const from = buffer.head;
    const events = buffer.claim(size);
    const result = await batches.write(events, from < inDoubtTo);
    if (hasEnded) return false;
    if (result.is === "away") {
      buffer.putBack();
      inDoubtTo = Math.max(inDoubtTo, from + events.length);
      reports.away(result.code);
      return false;
    }
    if (result.is === "written") {
      buffer.acknowledge();
      options.onWritten(events, result.places);
      backOffMs = backOffStartMs;
      size = Math.min(size * 2, batchRows);
      reports.written();
    } else if (events.length > 1) {
      buffer.putBack();
      size = events.length >> 1;
    } else {
      buffer.acknowledge();
      options.onRefused();
      reports.refused(result.code);
    }
    return true;
  };

  return {
    came() {
      if (isWriting) return;
      if (armed === "no") arm("later", batchMs);
      if (armed === "later" && buffer.size >= batchRows) arm("now", 0);
    },
    hurry() {
      if (armed === "backing off") dueTo = buffer.tail;
      else writeAll();
    },
    stopBackingOff() {
      backOffMs = backOffStartMs;
      if (armed === "backing off") rest();
    },
    end() {
      hasEnded = true;
      rest();
    },
  };
}
