import { ConfigError, describeValue } from "@sluice/contract";
import { open, realpath, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { AppendLog } from "./append-log.ts";
import { errorCode } from "./error-code.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { holdLock, lockAddress } from "./hold-lock.ts";
import { Journal } from "./journal.ts";
import type { BatchCaps, Fingerprint } from "./journal-record.ts";
import { loadLog } from "./load-log.ts";
import { parseOutLine } from "./out-line.ts";
import { Tally } from "./tally.ts";

/** The files of a batch, and what earlier starts left in them. */
export interface Batch {
  readonly jobs: FileHandle;
  readonly fingerprint: Fingerprint;
  /** Answers; a job is finished when its line is durable here, and by nothing else. */
  readonly out: AppendLog;
  readonly journal: Journal;
  readonly tally: Tally;
  /**
   * Every job id of the out file, and of the jobs file so far. All are held in memory, about 200 bytes
   * each: it is the only thing that grows with the batch.
   */
  readonly ids: Map<string, "finished earlier" | "seen">;
  close(): Promise<void>;
}

/**
 * Opens a batch's files for this process alone, mended where a crash left them torn.
 * @throws ConfigError when they do not belong together, or another run has them
 */
export async function openBatch(options: {
  readonly jobs: string;
  readonly out: string;
  readonly caps: BatchCaps;
}): Promise<Batch> {
  const closing: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.toReversed()) await one();
  };
  const opened = async (option: string, path: string, flags: string): Promise<FileHandle> => {
    const file = await openRegular(option, path, flags);
    closing.push(() => file.close());
    return file;
  };
  try {
    const jobs = await opened("jobs", options.jobs, "r");
    await assertOutBesideJournal(options.out);
    const outFile = await opened("--out", options.out, "a+");
    const identity = await outFile.stat({ bigint: true });
    const jobsIdentity = await jobs.stat({ bigint: true });
    if (identity.ino === jobsIdentity.ino && identity.dev === jobsIdentity.dev) {
      throw new ConfigError({ option: "--out", got: "the jobs file", expected: "another file" });
    }

    // From here on the files are ours: nothing of them is read or changed before.
    const release = await holdLock(lockAddress(identity));
    if (release === undefined) {
      throw new ConfigError({
        option: "--out",
        got: `${describeValue(options.out)}, which another run has open`,
        expected: "one run at a time",
      });
    }
    closing.push(release);

    const outPath = await realpath(options.out);
    const journalPath = journalPathOf(outPath);
    if (identity.size > 0n && !(await isFilled(journalPath))) {
      throw new ConfigError({
        option: "--out",
        got: `${describeValue(options.out)}, which has lines but no journal beside it`,
        expected: "a new file, or one of this command with its journal",
      });
    }
    const journalFile = await opened(`journal`, journalPath, "a+");
    await syncDirectory(dirname(outPath));
    const journal = await Journal.open(journalFile, "journal");
    closing.push(() => journal.settled());

    const tally = new Tally();
    const ids: Batch["ids"] = new Map();
    await loadLog(outFile, "--out", (text) => {
      const line = parseOutLine(text);
      if (line === undefined) return false;
      if (!ids.has(line.id)) tally.addFinished(line);
      ids.set(line.id, "finished earlier");
      return true;
    });
    tally.finishedEarlier = tally.finished;

    const { lastStart } = journal.account;
    const fingerprint = await fingerprintOf(jobs, lastStart?.jobs);
    if (!fingerprint.beginsWithEarlier) {
      throw new ConfigError({
        option: "jobs",
        got: `${describeValue(options.jobs)}, which is not the file this batch was begun with`,
        expected: "the same lines (more may follow them), or a new --out",
      });
    }
    if (lastStart?.caps.costNanoUsd !== undefined && options.caps.costNanoUsd === undefined) {
      throw new ConfigError({
        option: "--max-cost-usd",
        got: "nothing",
        expected: "a cap, because this batch was begun with one (it may be raised)",
      });
    }
    const out = new AppendLog(outFile);
    closing.push(() => out.settled());
    return { jobs, fingerprint: fingerprint.now, out, journal, tally, ids, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const journalPathOf = (out: string): string => `${out}.journal`;

/** An out file that is gone while its journal is there was lost or taken away: its jobs would be made again. */
async function assertOutBesideJournal(out: string): Promise<void> {
  if ((await exists(out)) || !(await isFilled(journalPathOf(out)))) return;
  throw new ConfigError({
    option: "--out",
    got: `${describeValue(out)}, which is gone while its journal is there`,
    expected: "both, or neither to begin anew",
  });
}

async function openRegular(option: string, path: string, flags: string): Promise<FileHandle> {
  const unusable = (why: string): ConfigError =>
    new ConfigError({
      option,
      got: `${describeValue(path)}, which ${why}`,
      expected: flags === "r" ? "a file of jobs, one JSON object a line" : "a file to append to",
    });
  // Asked before it is opened, because opening a pipe waits for its other end.
  const known = await stat(path).catch(() => undefined);
  if (known !== undefined && !known.isFile()) throw unusable("is no regular file");
  try {
    return await open(path, flags);
  } catch (error) {
    throw unusable(`can't be opened (${errorCode(error)})`);
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function isFilled(path: string): Promise<boolean> {
  const known = await stat(path).catch(() => undefined);
  return known !== undefined && known.size > 0;
}

/** A new file's name is durable only with its directory; Windows has no such call and needs none. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
