import type { Clock, OutcomeEvent } from "@sluice/contract";
import type { RecordBatches } from "./record-batches.ts";
import type { RecordBuffer } from "./record-buffer.ts";
import type { RecordReports } from "./record-reports.ts";
import { tableRefusal } from "./table-refusal.ts";

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

/**
 * Empties a buffer into the database, one statement at a time. A batch that is refused is halved until the
 * row is found that is at fault. Where one row after another is refused alone, the table is taken to refuse
 * all: each try, ever more rarely, is then the newest row alone, until one is written.
 */
export interface RecordWriting {
  /** A row came into the buffer. */
  came(): void;
  /** What waits is written without waiting for a full batch; while tries are spaced out, at the next one. */
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
  const refusal = tableRefusal(batchRows);
  let isWriting = false;
  let hasEnded = false;
  let backOffMs = backOffStartMs;
  let notBeforeMs = -Infinity;
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

  /** For the rows that wait, after the next try's time where that is still to come. */
  const armNext = (): void => {
    const waitMs = notBeforeMs - clock.monotonicMs();
    if (waitMs > 0) arm("backing off", waitMs);
    else arm("later", batchMs);
  };

  const writeWhatIsDue = async (): Promise<void> => {
    isWriting = true;
    let goesOn = true;
    while (goesOn && isDue()) {
      goesOn = await writeNext();
      options.onEnd();
    }
    isWriting = false;
    if (hasEnded) return;
    if (!goesOn) {
      notBeforeMs = clock.monotonicMs() + backOffMs * (0.5 + random());
      backOffMs = Math.min(backOffMs * 2, backOffMaxMs);
    }
    if (buffer.size > 0) armNext();
  };

  /** False where the next try has to wait. */
  const writeNext = async (): Promise<boolean> => {
    const isProbe = refusal.isTotal;
    const isWhole = size === batchRows;
    const { rows, from, to } = isProbe ? buffer.claimNewest() : buffer.claim(size);
    const result = await batches.write(rows, from < inDoubtTo);
    if (hasEnded) return false;
    if (result.is === "away") {
      buffer.putBack();
      inDoubtTo = Math.max(inDoubtTo, to);
      reports.away(result.code);
      return false;
    }
    if (result.is === "refused" && rows.length > 1) {
      buffer.putBack();
      size = rows.length >> 1;
      return true;
    }
    buffer.acknowledge();
    if (result.is === "refused") {
      options.onRefused();
      refusal.refused();
      if (refusal.isTotal) reports.refusing(result.code);
      else reports.refused(result.code);
      return !refusal.isTotal;
    }
    options.onWritten(rows, result.places);
    // An update that found no row says nothing of what the table takes.
    if (result.places?.size !== 0) refusal.written(isWhole);
    if (refusal.isTotal) return false;
    backOffMs = backOffStartMs;
    size = isProbe ? batchRows : Math.min(size * 2, batchRows);
    reports.written();
    return true;
  };

  return {
    came() {
      if (isWriting) return;
      if (armed === "no") armNext();
      if (armed === "later" && buffer.size >= batchRows) arm("now", 0);
    },
    hurry() {
      if (armed === "backing off") dueTo = buffer.tail;
      else writeAll();
    },
    stopBackingOff() {
      backOffMs = backOffStartMs;
      notBeforeMs = -Infinity;
      if (armed === "backing off") rest();
    },
    end() {
      hasEnded = true;
      rest();
    },
  };
}
