import type { Outcome, StreamEvent } from "@sluice/contract";
import type { HttpOutcome, Problem, StreamHead } from "@sluice/guard";
import type { AnswerEncoder, AnswerMeta, WireAnswer } from "../protocol.ts";
import { problemSentence } from "./body-problem.ts";
import { failureSentences } from "./failure-sentences.ts";
import { rejectionSentence, tryAgain } from "./rejection-sentence.ts";
import { sseDone, sseType, toSseData } from "./sse.ts";
import { wholeStream, wholeStreamHeaders } from "./whole-stream.ts";

/** Writes a UI message stream, version 1. */
export function uiEncoder(toText: (value: unknown) => string): AnswerEncoder {
  return new UiEncoder(toText);
}

type Event = StreamEvent<unknown, unknown, unknown>;

class UiEncoder implements AnswerEncoder {
  readonly streamType = sseType;
  readonly streamHeaders = { "x-vercel-ai-ui-message-stream": "v1" } as const;
  readonly #toText: (value: unknown) => string;
  #open: "text" | "reasoning" | undefined;
  /** Parts so far; the last one's id. */
  #parts = 0;
  /** Calls of tools that have no result yet. */
  readonly #calls = new Set<string>();
  /** The step ran tools: what the model says next is another step. */
  #ranTools = false;
  #hasEnded = false;

  constructor(toText: (value: unknown) => string) {
    this.#toText = toText;
  }

  whole(
    outcome: Outcome<unknown, unknown, unknown>,
    http: HttpOutcome,
    meta: AnswerMeta | undefined,
  ): WireAnswer {
    if (outcome.status === "REJECTED") {
      const sentence = rejectionSentence(outcome.reason, http.headers["retry-after"]);
      return plainText(http.status, http.headers, sentence);
    }
    return {
      // The client reads a stream from a 2xx only; of anything else it shows the body as it is.
      status: 200,
      headers: { ...http.headers, ...wholeStreamHeaders, ...this.streamHeaders },
      contentType: sseType,
      body: wholeStream(this, outcome, meta, this.#toText),
    };
  }

  problem(problem: Problem, headers: Readonly<Record<string, string>> = {}): WireAnswer {
    const sentence = `${problemSentence(problem)}${tryAgain(headers["retry-after"])}`;
    return plainText(problem.status, headers, sentence);
  }

  begin({ decision }: StreamHead<unknown, unknown, unknown>, meta: AnswerMeta | undefined): string {
    const start = toSseData({ type: "start", messageId: `msg_${decision.id}`, ...withMeta(meta) });
    return start + startStep;
  }

  event(event: Event, meta: AnswerMeta | undefined): string {
    if (this.#hasEnded) return "";
    switch (event.type) {
      case "text-delta":
        return this.#delta("text", event.text);
      case "reasoning-delta":
        return this.#delta("reasoning", event.text);
      case "tool-call":
        return this.#toolCall(event);
      case "tool-result":
        return this.#toolResult(event);
      case "usage":
        return "";
      case "finish":
        return this.#end("stop", meta);
      case "failed": {
        const error = toSseData({ type: "error", errorText: sentenceOf(event.outcome) });
        return this.#end("error", meta, error);
      }
    }
  }

  #delta(kind: "text" | "reasoning", delta: string): string {
    if (delta === "") return "";
    let written = this.#step();
    if (this.#open !== kind) {
      written += this.#close();
      this.#open = kind;
      this.#parts += 1;
      written += toSseData({ type: `${kind}-start`, id: String(this.#parts) });
    }
    return written + toSseData({ type: `${kind}-delta`, id: String(this.#parts), delta });
  }

  #toolCall({ id, name, input }: Extract<Event, { type: "tool-call" }>): string {
    const before = this.#step() + this.#close();
    this.#calls.add(id);
    const call = { type: "tool-input-available", toolCallId: id, toolName: name, input };
    return before + toSseData(call);
  }

  #toolResult({ id, output }: Extract<Event, { type: "tool-result" }>): string {
    // The client throws at the result of a call that it has not seen.
    if (!this.#calls.delete(id)) return "";
    this.#ranTools = true;
    const result = { type: "tool-output-available", toolCallId: id, output };
    return this.#close() + toSseData(result);
  }

  #step(): string {
    if (!this.#ranTools || this.#calls.size > 0) return "";
    this.#ranTools = false;
    return this.#close() + finishStep + startStep;
  }

  #close(): string {
    if (this.#open === undefined) return "";
    const end = toSseData({ type: `${this.#open}-end`, id: String(this.#parts) });
    this.#open = undefined;
    return end;
  }

  #end(finishReason: "stop" | "error", meta: AnswerMeta | undefined, error = ""): string {
    let written = this.#close();
    for (const toolCallId of this.#calls) {
      const errorText = "The tool did not finish.";
      written += toSseData({ type: "tool-output-error", toolCallId, errorText });
    }
    this.#hasEnded = true;
    const finish = toSseData({ type: "finish", finishReason, ...withMeta(meta) });
    return written + error + finishStep + finish + sseDone;
  }
}

const startStep = toSseData({ type: "start-step" });
const finishStep = toSseData({ type: "finish-step" });

const withMeta = (meta: AnswerMeta | undefined) =>
  meta === undefined ? {} : { messageMetadata: meta };

const plainText = (
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): WireAnswer => ({ status, headers, contentType: "text/plain; charset=utf-8", body });

function sentenceOf(outcome: Outcome<unknown, unknown, unknown>): string {
  if (outcome.status === "REJECTED") {
    return rejectionSentence(outcome.reason, String(Math.ceil(outcome.retryAfterMs / 1000)));
  }
  return failureSentences[outcome.status === "FAILED" ? outcome.failure.code : "INTERNAL"];
}
