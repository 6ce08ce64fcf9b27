import type { Clock, Contract, Decision, Outcome } from "@sluice/contract";
import type { ForbiddenText } from "@sluice/policy";
import { isAnswered } from "./http-outcome.ts";
import { ReasoningText } from "./reasoning-text.ts";
import type { TurnSink } from "./run-attempts.ts";
import type { StreamQueue } from "./stream-queue.ts";
import { textOfValue } from "./text-contract.ts";
import type { WriteText } from "./write-text.ts";

/** What the execution of a streamed request writes to. */
export interface StreamSink<Ok, Failed, Stub> extends TurnSink {
  readonly text: WriteText;
  /** Undefined where it does not leave. */
  readonly reasoning: ReasoningText | undefined;
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
  /** What reasoning must not hold; undefined where none leaves. */
  forbidden: ForbiddenText | undefined,
): StreamSink<Ok, Failed, Stub> {
  return new QueueSink(queue, decision, clock, startedMs, forbidden);
}

class QueueSink<Ok, Failed, Stub> implements StreamSink<Ok, Failed, Stub> {
  readonly text: WriteText = (text) => {
    this.#opened();
    this.#hasText = true;
    return this.#queue.write({ type: "text-delta", text }, Buffer.byteLength(text, "utf8"));
  };
  readonly reasoning: ReasoningText | undefined;
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
    forbidden: ForbiddenText | undefined,
  ) {
    this.#queue = queue;
    this.#decision = decision;
    this.#clock = clock;
    this.#startedMs = startedMs;
    this.reasoning =
      forbidden &&
      new ReasoningText(forbidden, (text) =>
        queue.write({ type: "reasoning-delta", text }, Buffer.byteLength(text, "utf8")),
      );
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

  toolResult(id: string, name: string, output: string): Promise<void> | undefined {
    const bytes = Buffer.byteLength(output, "utf8");
    return this.#queue.write({ type: "tool-result", id, name, output }, bytes);
  }

  end(contract: Pick<Contract, "text">, outcome: Outcome<Ok, Failed, Stub>): void {
    const isAnswer = isAnswered(outcome);
    if (outcome.status === "SUCCEEDED") this.reasoning?.open();
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
    this.reasoning?.open();
    this.#firstContentMs = this.#clock.monotonicMs() - this.#startedMs;
    this.#queue.open(this.#decision);
  }
}
