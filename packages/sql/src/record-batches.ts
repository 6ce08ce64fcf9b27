import type { OutcomeEvent } from "@sluice/contract";
import type { SqlQuery } from "./database.ts";
import { errorCode } from "./error-code.ts";
import { isRefusal } from "./is-refusal.ts";
import type { SqlNames } from "./names.ts";
import { type GenerationRecord, recordOfOutcome } from "./record-of-outcome.ts";
import { recordParameters, recordStatements, type RecordStatements } from "./record-statements.ts";

/** What became of a batch. `refused`: for what a row holds, and nothing was written. */
export type BatchResult =
  | {
      readonly is: "written";
      /** Places, from 1, of the records that found their row to fill; undefined where none has to be found. */
      readonly places: ReadonlySet<number> | undefined;
    }
  | { readonly is: "refused"; readonly code: string }
  /** Not written, or written without an answer. */
  | { readonly is: "away"; readonly code: string | undefined };

export interface RecordBatches {
  /** One statement. `inDoubt`: rows among them may have been written by one that had no answer. */
  write(events: readonly OutcomeEvent[], inDoubt: boolean): Promise<BatchResult>;
}

export function recordBatches(
  query: SqlQuery,
  names: SqlNames,
  mode: "insert" | "fill",
): RecordBatches {
  let statements: RecordStatements | undefined;
  return {
    async write(events, inDoubt) {
      try {
        statements ??= await recordStatements(query, names, mode);
        const records = events
          .map(recordOfOutcome)
          .filter((record): record is GenerationRecord => record !== undefined);
        const { rows } = await query<{ place: number }>(
          inDoubt ? statements.again : statements.first,
          recordParameters(records),
        );
        const places = mode === "fill" ? new Set(rows.map((row) => row.place)) : undefined;
        return { is: "written", places };
      } catch (error) {
        const code = errorCode(error);
        if (code !== undefined && isRefusal(code)) return { is: "refused", code };
        // The table may be made or altered before the next try.
        statements = undefined;
        return { is: "away", code };
      }
    },
  };
}
