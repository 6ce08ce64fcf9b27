import type { FileHandle } from "node:fs/promises";
import { AppendLog } from "./append-log.ts";
import { BatchAccount } from "./batch-account.ts";
import { parseJournalRecord, type JournalRecord } from "./journal-record.ts";
import { loadLog } from "./load-log.ts";

/**
 * The batch's account on disk: what was spent, over all starts. What is finished stands in the out file
 * alone, what was spent here alone, so the two files never have to agree and need no order between
 * them. The one order that counts: `dispatched` is durable before the request leaves. A crash
 *
 * - before that line: nothing left, nothing is charged, the job is made at the next start;
 * - after it, before the out line: the call is charged, and the job is made again with a call of its own;
 * - after the out line, before `settled`: the job is finished, its call stays charged whole.
 */
export class Journal {
  readonly account = new BatchAccount();
  readonly #log: AppendLog;

  private constructor(file: FileHandle) {
    this.#log = new AppendLog(file);
  }

  /**
   * Reads what earlier starts wrote.
   * @throws ConfigError when the file is no journal
   */
  static async open(file: FileHandle, name: string): Promise<Journal> {
    const journal = new Journal(file);
    await loadLog(file, name, (text) => {
      const record = parseJournalRecord(text);
      if (record !== undefined) journal.account.apply(record);
      return record !== undefined;
    });
    return journal;
  }

  /** Counts at once, durable when the promise resolves; rejects when it can't be written. */
  async write(record: JournalRecord): Promise<void> {
    this.account.apply(record);
    await this.#log.append(JSON.stringify(record));
  }

  async settled(): Promise<void> {
    await this.#log.settled();
  }
}
