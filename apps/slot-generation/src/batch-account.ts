import type { BudgetUse } from "@sluice/contract";
import type { DispatchedRecord, JournalRecord, StartRecord } from "./journal-record.ts";

/**
 * What a batch has used, over all its starts: the sum of its journal. A call counts whole from its
 * `dispatched` line on, until a `settled` line tells the real figures or a `voided` one that nothing
 * left. So a call that a crash cut off stays charged with all that was set aside for it, and at no line
 * of the journal does the sum lie below what the calls may have used.
 */
export class BatchAccount {
  #use: BudgetUse = { calls: 0, tokens: 0, costNanoUsd: 0 };
  #inputTokens = 0;
  #outputTokens = 0;
  #nextCall = 1;
  #opened = false;
  #start: StartRecord | undefined;
  readonly #open = new Map<number, DispatchedRecord>();
  readonly #keys = new Map<string, string>();

  /** Settled and set aside together. */
  get use(): BudgetUse {
    return this.#use;
  }

  /** As the provider told them, of the calls that it told them of. */
  get settledTokens(): { readonly inputTokens: number; readonly outputTokens: number } {
    return { inputTokens: this.#inputTokens, outputTokens: this.#outputTokens };
  }

  /** Calls charged with what was set aside, because nobody knows what they used. */
  get unsettledCalls(): number {
    return this.#open.size;
  }

  get nextCall(): number {
    return this.#nextCall;
  }

  /** Whether the AI path was ever open to this batch. */
  get opened(): boolean {
    return this.#opened;
  }

  get lastStart(): StartRecord | undefined {
    return this.#start;
  }

  /** The key of a call for this job that was cut off: asking again is a retry of that call. */
  keyOf(job: string): string | undefined {
    return this.#keys.get(job);
  }

  apply(record: JournalRecord): void {
    switch (record.type) {
      case "start":
        this.#start = record;
        this.#opened ||= record.open;
        return;
      case "dispatched":
        this.#opened = true;
        this.#nextCall = Math.max(this.#nextCall, record.call + 1);
        this.#open.set(record.call, record);
        this.#keys.set(record.job, record.idempotencyKey);
        this.#charge(1, record, 1);
        return;
      case "settled": {
        if (this.#close(record.call) === undefined) return;
        this.#inputTokens += record.inputTokens;
        this.#outputTokens += record.outputTokens;
        this.#charge(0, record, 1);
        return;
      }
      case "voided": {
        if (this.#close(record.call) !== undefined) this.#charge(1, nothing, -1);
      }
    }
  }

  /** Takes back what was set aside, not the call. */
  #close(call: number): DispatchedRecord | undefined {
    const dispatched = this.#open.get(call);
    if (dispatched === undefined) return undefined;
    this.#open.delete(call);
    this.#keys.delete(dispatched.job);
    this.#charge(0, dispatched, -1);
    return dispatched;
  }

  #charge(calls: number, figures: Figures, sign: 1 | -1): void {
    this.#use = {
      calls: this.#use.calls + sign * calls,
      tokens: this.#use.tokens + sign * (figures.inputTokens + figures.outputTokens),
      costNanoUsd: this.#use.costNanoUsd + sign * figures.costNanoUsd,
    };
  }
}

type Figures = Pick<DispatchedRecord, "inputTokens" | "outputTokens" | "costNanoUsd">;

const nothing: Figures = { inputTokens: 0, outputTokens: 0, costNanoUsd: 0 };
