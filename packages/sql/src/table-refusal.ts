/** Tells a table that refuses every row from one that refuses some. */
export interface TableRefusal {
  /** Nothing is written now: each row that was tried alone of late was refused. */
  readonly isTotal: boolean;
  /** A row that was tried alone was refused. */
  refused(): void;
  /** Rows were written; `isWhole` where none had to be looked for first that is refused. */
  written(isWhole: boolean): void;
}

/** So many in a row are no accident. */
const fewestRows = 5;

/**
 * Where the table turned out to take rows after all, it takes twice as many refusals to judge so again, up
 * to `batchRows`, until a whole batch is written: a long run of bad rows is passed in few rounds.
 */
export function tableRefusal(batchRows: number): TableRefusal {
  let refusedInARow = 0;
  let neededRows = fewestRows;
  let isTotal = false;
  return {
    get isTotal() {
      return isTotal;
    },
    refused() {
      refusedInARow += 1;
      if (refusedInARow >= neededRows) isTotal = true;
    },
    written(isWhole) {
      refusedInARow = 0;
      if (isTotal) neededRows = Math.max(fewestRows, Math.min(neededRows * 2, batchRows));
      else if (isWhole) neededRows = fewestRows;
      isTotal = false;
    },
  };
}
