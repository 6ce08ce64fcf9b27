/** Rows that wait to be written, the oldest first. They are numbered since the start. */
export interface RecordBuffer<Row> {
  /** How many wait. */
  readonly size: number;
  /** The number of the oldest that waits; all below are done with. */
  readonly head: number;
  /** The number of the next to come. */
  readonly tail: number;
  /** Rows dropped that were not written. */
  readonly lost: number;
  /** False where the oldest was dropped for it. */
  push(row: Row): boolean;
  /** The oldest, at most so many, to be written; they wait on until that is told. One claim at a time. */
  claim(most: number): readonly Row[];
  /** What was claimed is done with, what of it was dropped meanwhile too. */
  acknowledge(): void;
  /** What was claimed is still to be written; what of it was dropped meanwhile is lost. */
  putBack(): void;
  /** Every row is lost. */
  clear(): void;
}

/** Room for `capacity` rows; a push stores a reference and allocates nothing. */
export function recordBuffer<Row>(capacity: number): RecordBuffer<Row> {
  /** Number n is at n % capacity. */
  const ring = Array.from<Row | undefined>({ length: capacity });
  let head = 0;
  let tail = 0;
  let lost = 0;
  /** The claim covers the rows below; nothing where it is no more than the head. */
  let claimedTo = 0;
  /** Rows dropped from under the claim: they may be written yet. */
  let droppedClaimed = 0;

  const dropOldest = (): void => {
    if (head < claimedTo) droppedClaimed += 1;
    else lost += 1;
    head += 1;
  };
  const removeTo = (to: number): void => {
    for (; head < to; head += 1) ring[head % capacity] = undefined;
  };
  const endClaim = (): void => {
    claimedTo = 0;
    droppedClaimed = 0;
  };

  return {
    get size() {
      return tail - head;
    },
    get head() {
      return head;
    },
    get tail() {
      return tail;
    },
    get lost() {
      return lost;
    },
    push(row) {
      const isFull = tail - head === capacity;
      if (isFull) dropOldest();
      ring[tail % capacity] = row;
      tail += 1;
      return !isFull;
    },
    claim(most) {
      claimedTo = Math.min(head + most, tail);
      const rows: Row[] = [];
      for (let number = head; number < claimedTo; number += 1) {
        const row = ring[number % capacity];
        if (row !== undefined) rows.push(row);
      }
      return rows;
    },
    acknowledge() {
      removeTo(claimedTo);
      endClaim();
    },
    putBack() {
      lost += droppedClaimed;
      endClaim();
    },
    clear() {
      lost += tail - head + droppedClaimed;
      removeTo(tail);
      endClaim();
    },
  };
}
