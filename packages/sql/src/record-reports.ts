import type { Clock } from "@sluice/contract";
import { callQuietly } from "./call-quietly.ts";

/**
 * How writing goes. `written`: as it should, again. `away`: the database takes no write, and rows wait.
 * `refused`: the table turned rows down for what they hold, and those are lost. `refusing`: it turned down
 * one after another, rows wait, and one at a time is tried. `dropping`: rows came faster than they were
 * written, and the oldest were lost.
 */
export type RecordWriterState = "written" | "away" | "refused" | "refusing" | "dropping";

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

export interface RecordReportsOptions {
  readonly clock: Clock;
  readonly counts: () => Pick<RecordProblem, "pending" | "dropped">;
  readonly onProblem: ((problem: RecordProblem) => void) | undefined;
}

/** What a writer notes; a change of state is told at once. */
export interface RecordReports {
  away(code: string | undefined): void;
  refused(code: string): void;
  refusing(code: string): void;
  /** A row was dropped for a newer one; told with the next rows that are written. */
  dropped(): void;
  written(): void;
}

/** Without refused or dropped rows for so long, writing goes as it should again. */
const calmMs = 10_000;

export function recordReports(options: RecordReportsOptions): RecordReports {
  const { clock, counts, onProblem } = options;
  let state: RecordWriterState = "written";
  let troubledAtMs = 0;
  let hasDropped = false;

  const tell = (next: RecordWriterState, code?: string): void => {
    if (state === next) return;
    state = next;
    callQuietly(() =>
      onProblem?.({ state: next, ...(code === undefined ? {} : { code }), ...counts() }),
    );
  };

  const lose = (next: "refused" | "refusing", code: string): void => {
    troubledAtMs = clock.monotonicMs();
    tell(next, code);
  };

  return {
    away: (code) => tell("away", code),
    refused: (code) => lose("refused", code),
    refusing: (code) => lose("refusing", code),
    dropped() {
      hasDropped = true;
    },
    written() {
      const isCalm = clock.monotonicMs() - troubledAtMs >= calmMs;
      if (state === "away" || state === "refusing") {
        tell("written");
      } else if (hasDropped) {
        troubledAtMs = clock.monotonicMs();
        if (state === "written") tell("dropping");
      } else if (isCalm) {
        tell("written");
      }
      hasDropped = false;
    },
  };
}
