import type { Clock, Contract, Decision, Outcome } from "@sluice/contract";
import type { WriteText } from "./answer-text.ts";
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
  let firstContentMs: number | undefined;
  let hasText = false;
  const opened = (): void => {
    if (firstContentMs !== undefined) return;
    firstContentMs = clock.monotonicMs() - startedMs;
    queue.open(decision);
  };
  return {
    get firstContentMs() {
      return firstContentMs;
    },
    get hasLeft() {
      return firstContentMs !== undefined;
    },
    text(text) {
      opened();
      hasText = true;
      return queue.write({ type: "text-delta", text }, Buffer.byteLength(text, "utf8"));
    },
    toolCall(id, name, input) {
      opened();
      return queue.write(
        { type: "tool-call", id, name, input },
        Buffer.byteLength(JSON.stringify(input) ?? "", "utf8"),
      );
    },
    end(contract, outcome) {
      const isAnswer =
        outcome.status === "SUCCEEDED" ||
        outcome.status === "STUBBED" ||
        (outcome.status === "FAILED" && outcome.path === "stub" && outcome.record.fallbackUsed);
      if (isAnswer && !hasText) {
        const text = textOfValue(contract, outcome.value);
        if (text !== "") queue.write({ type: "text-delta", text }, 0);
      }
      const { usage } = outcome.record;
      if (usage !== undefined) queue.write({ type: "usage", usage }, 0);
      queue.end({ type: isAnswer ? "finish" : "failed", outcome });
    },
  };
}
