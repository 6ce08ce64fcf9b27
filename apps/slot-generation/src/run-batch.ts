import pLimit from "p-limit";
import { conclude, isBudgetReason } from "./conclude.ts";
import { parseJob, type Job } from "./job.ts";
import type { Batch } from "./open-batch.ts";
import type { SlotsOutcome } from "./out-line.ts";
import type { Progress } from "./progress.ts";
import { ReadingWindow } from "./reading-window.ts";
import { readLines, type Line } from "./read-lines.ts";
import { batchRun, type SlotGuard } from "./slot-guard.ts";
import type { Stopper } from "./stopper.ts";
import type { WatchedBudgets } from "./watched-budgets.ts";

const maxLineBytes = 1024 * 1024;
const windowJobs = 1000;
const windowBytes = 16 * 1024 * 1024;
/** Further unusable lines are only counted. */
const maxToldLines = 1000;

/**
 * Makes the jobs of a batch that are not finished. It resolves when every line is dealt with and what
 * was finished is durable, or when the run was stopped.
 */
export async function runBatch(parts: {
  readonly batch: Batch;
  readonly guard: SlotGuard;
  readonly budgets: WatchedBudgets;
  readonly concurrency: number;
  readonly acceptStubs: boolean;
  readonly stopper: Stopper;
  readonly progress: Progress;
  readonly note: (line: string) => void;
}): Promise<void> {
  const { batch, guard, budgets, concurrency, acceptStubs, stopper, progress, note } = parts;
  const { ids, tally } = batch;
  const { signal } = stopper;

  const tellUnusable = (line: Line, why: string): void => {
    const told = tally.malformed + tally.duplicates;
    if (told <= maxToldLines) note(`line ${line.number}: ${why}; passed over`);
    if (told === maxToldLines) note("further lines that can't be used are only counted");
  };

  /** The job of a line; undefined when there is nothing to make. */
  const jobOf = (line: Line): Job | undefined => {
    if (line.text?.trim() === "") return undefined;
    const parsed =
      line.text === undefined ? { ok: false as const, fault: faultOf(line) } : parseJob(line.text);
    if (!parsed.ok) {
      tally.malformed += 1;
      tellUnusable(line, parsed.fault);
      return undefined;
    }
    const known = ids.get(parsed.job.id);
    if (known === "seen") {
      tally.duplicates += 1;
      tellUnusable(line, "its id is an earlier line's");
      return undefined;
    }
    ids.set(parsed.job.id, "seen");
    return known === undefined ? parsed.job : undefined;
  };

  /** The job's outcome; undefined when the run was stopped first. */
  const make = async (job: Job): Promise<SlotsOutcome | undefined> => {
    while (!signal.aborted) {
      const endedBefore = budgets.ended;
      const outcome = await guard.run(job, {
        subject: job.id,
        attributes: job.metadata,
        run: batchRun,
        signal,
      });
      if (outcome.status !== "STUBBED" || !isBudgetReason(outcome.reason)) return outcome;
      // Each call under way holds its worst case, most of which comes back when it ends. Only when none
      // is left is the budget really too small.
      if (budgets.ended !== endedBefore) continue;
      if (guard.inFlight === 0) return outcome;
      await budgets.nextEnd();
    }
    return undefined;
  };

  const finish = async (job: Job, outcome: SlotsOutcome | undefined): Promise<void> => {
    // Not begun before the run was stopped; like the rest of the file, it was not reached.
    if (outcome === undefined) return;
    // What the guard answers once the journal is broken says nothing about the job.
    if (stopper.broken !== undefined) return;
    const { opened } = batch.journal.account;
    const conclusion = conclude(job.id, outcome, { opened, acceptStubs });
    if (!conclusion.finished) {
      tally.addUnfinished(conclusion.reason);
      return;
    }
    await batch.out.append(JSON.stringify(conclusion.line));
    tally.addFinished(conclusion.line);
  };

  const limit = pLimit(concurrency);
  const window = new ReadingWindow({ jobs: windowJobs, bytes: windowBytes });
  const lines = readLines(batch.jobs, { maxLineBytes, endOffset: batch.fingerprint.bytes });
  for await (const line of lines) {
    if (signal.aborted) break;
    const bytes = line.end - line.start;
    const job = jobOf(line);
    if (job === undefined) {
      progress.add(bytes);
      continue;
    }
    await window.enter(bytes);
    // A slot is free again before the answer is durable: many answers share one fsync.
    void limit(make, job)
      .then((outcome) => finish(job, outcome))
      .catch((error: unknown) => stopper.break(error))
      .finally(() => {
        progress.add(bytes);
        window.leave(bytes);
      });
  }
  await window.empty();
}

function faultOf(line: Line): string {
  return line.fault === "too long" ? `longer than ${maxLineBytes} bytes` : (line.fault ?? "unread");
}
