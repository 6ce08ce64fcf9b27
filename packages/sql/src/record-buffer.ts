/** Rows handed out to be written; they wait on until that is told. */
export interface RecordClaim<Row> {
  readonly rows: readonly Row[];
  /** The number of the first. */
  readonly from: number;
  /** The number after the last. */
  readonly to: number;
}

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
  /** The oldest, at most so many, at least one where any waits. One claim at a time. */
  claim(most: number): RecordClaim<Row>;
  /** The newest alone, out of its turn; its place stays taken until the older ones are done with. */
  claimNewest(): RecordClaim<Row>;
  /** What was claimed is done with, what of it was dropped meanwhile too. */
  acknowledge(): void;
  /** What was claimed is still to be written; what of it was dropped meanwhile is lost. */
  putBack(): void;
  /** Every row is lost. */
  clear(): void;
}

/** Room for `capacity` rows; a push stores a reference and allocates nothing. */
export function recordBuffer<Row>(capacity: number): RecordBuffer<Row> {
  /** Number n is at n % capacity; undefined where it is done with. The head is never so. */
  const ring = Array.from<Row | undefined>({ length: capacity });
  let head = 0;
  let tail = 0;
  let size = 0;
  let lost = 0;
  let claimedFrom = 0;
  let claimedTo = 0;
  /** Rows dropped from under the claim: they may be written yet. */
  let droppedClaimed = 0;

  const remove = (number: number): void => {
    if (ring[number % capacity] === undefined) return;
    ring[number % capacity] = undefined;
    size -= 1;
  };
  const advanceHead = (): void => {
    while (head < tail && ring[head % capacity] === undefined) head += 1;
  };
  const dropOldest = (): void => {
    if (claimedFrom <= head && head < claimedTo) droppedClaimed += 1;
    else lost += 1;
    remove(head);
    advanceHead();
  };
  const claimRange = (from: number, to: number): RecordClaim<Row> => {
    claimedFrom = from;
    claimedTo = to;
    const rows: Row[] = [];
    for (let number = from; number < to; number += 1) {
      const row = ring[number % capacity];
      if (row !== undefined) rows.push(row);
    }
    return { rows, from, to };
  };
  const endClaim = (): void => {
    claimedFrom = 0;
    claimedTo = 0;
    droppedClaimed = 0;
  };

  return {
    get size() {
      return size;
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
      size += 1;
      return !isFull;
    },
    claim: (most) => claimRange(head, Math.min(head + most, tail)),
    claimNewest() {
      let newest = tail - 1;
      while (newest > head && ring[newest % capacity] === undefined) newest -= 1;
      return claimRange(Math.max(newest, head), Math.max(newest + 1, head));
    },
    acknowledge() {
      for (let number = Math.max(claimedFrom, head); number < claimedTo; number += 1) {
        remove(number);
      }
      advanceHead();
      endClaim();
    },
    putBack() {
      lost += droppedClaimed;
      endClaim();
    },
    clear() {
      lost += size + droppedClaimed;
      for (let number = head; number < tail; number += 1) remove(number);
      head = tail;
      endClaim();
    },
  };
}
