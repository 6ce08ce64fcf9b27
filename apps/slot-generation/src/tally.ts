import type { FailureCode, Reason } from "@sluice/contract";
import type { UnfinishedReason } from "./conclude.ts";
import type { OutLine } from "./out-line.ts";

/** Counts of a batch; finished jobs of earlier starts included. */
export class Tally {
  /** Finished by earlier starts. */
  finishedEarlier = 0;
  finished = 0;
  slotsMade = 0;
  malformed = 0;
  duplicates = 0;
  readonly byPath: Record<OutLine["path"], number> = { ai: 0, stub: 0, failed: 0 };
  /** Why finished jobs have a stub. */
  readonly byReason = new Map<Reason, number>();
  readonly byFailure = new Map<FailureCode, number>();
  /** Why jobs are left to a later start. */
  readonly unfinished = new Map<UnfinishedReason, number>();

  get unfinishedJobs(): number {
    return [...this.unfinished.values()].reduce((sum, jobs) => sum + jobs, 0);
  }

  addFinished(line: OutLine): void {
    this.finished += 1;
    this.slotsMade += line.value.slots.length;
    this.byPath[line.path] += 1;
    if (line.path === "stub") increment(this.byReason, line.reason);
    if (line.path === "failed") increment(this.byFailure, line.code);
  }

  addUnfinished(reason: UnfinishedReason): void {
    increment(this.unfinished, reason);
  }
}

function increment<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
