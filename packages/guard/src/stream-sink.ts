import type { Clock, Contract, Decision, Outcome } from "@sluice/contract";
import type { WriteText } from "./answer-text.ts";
import { isAnswered } from "./http-outcome.ts";
import type { TurnSink } from "./run-attempts.ts";
import type { StreamQueue } from "./stream-queue.ts";
import { textOfValue } from "./text-contract.ts";

/** What the execution of a streamed request writes to. */
export interface StreamSink<Ok, Failed, Stub> extends TurnSink {
  readonly text: WriteText;
  /** From the start of the execution to the first content that left; undefined before. */
  readonly firstContentMs: number | undefined;
  /** Writes what has not flowed yet, and the terminal event. */
  end(contract: Pick<Contract, "text">, outcome: Outcome<Ok, Failed, Stub>): void;
}

export function streamSink<Ok, Failed, Stub>(
  queue: StreamQueue<Ok, Failed, Stub>,
  decision: Decision,
  clock: Clock,
  startedMs: number,
): StreamSink<Ok, Failed, Stub> {
  return new QueueSink(queue, decision, clock, startedMs);
}

class QueueSink<Ok, Failed, Stub> implements StreamSink<Ok, Failed, Stub> {
  readonly text: WriteText = (text) => {
    this.#opened();
    this.#hasText = true;
    return this.#queue.write({ type: "text-delta", text }, Buffer.byteLength(text, "utf8"));
  };
  readonly #queue: StreamQueue<Ok, Failed, Stub>;
  readonly #decision: Decision;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #firstContentMs: number | undefined;
  #hasText = false;

  constructor(
    queue: StreamQueue<Ok, Failed, Stub>,
    decision: Decision,
    clock: Clock,
    startedMs: number,
  ) {
    this.#queue = queue;
    this.#decision = decision;
    this.#clock = clock;
    this.#startedMs = startedMs;
  }

  get firstContentMs(): number | undefined {
    return this.#firstContentMs;
  }

  get hasLeft(): boolean {
    return this.#firstContentMs !== undefined;
  }

  toolCall(id: string, name: string, input: unknown): Promise<void> | undefined {
    this.#opened();
    const bytes = Buffer.byteLength(JSON.stringify(input) ?? "", "utf8");
    return this.#queue.write({ type: "tool-call", id, name, input }, bytes);
  }

  end(contract: Pick<Contract, "text">, outcome: Outcome<Ok, Failed, Stub>): void {
    const isAnswer = isAnswered(outcome);
    if (isAnswer && !this.#hasText && "value" in outcome) {
      const text = textOfValue(contract, outcome.value);
      if (text !== "") void this.#queue.write({ type: "text-delta", text }, 0);
    }
    const { usage } = outcome.record;
    if (usage !== undefined) void this.#queue.write({ type: "usage", usage }, 0);
    this.#queue.end({ type: isAnswer ? "finish" : "failed", outcome });
  }

  #opened(): void {
    if (this.#firstContentMs !== undefined) return;
    this.#firstContentMs = this.#clock.monotonicMs() - this.#startedMs;
    this.#queue.open(this.#decision);
  }
}
