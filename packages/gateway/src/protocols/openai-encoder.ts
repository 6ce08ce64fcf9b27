import type { Outcome, StreamEvent, Usage } from "@sluice/contract";
import { isAnswered, type HttpOutcome, type Problem, type StreamHead } from "@sluice/guard";
import type { AnswerEncoder, AnswerMeta, ProtocolContext, WireAnswer } from "../protocol.ts";
import { openAiFailure, openAiProblem, type OpenAiError } from "./openai-errors.ts";
import { sseDone, sseType, toSseData } from "./sse.ts";
import { wholeStream, wholeStreamHeaders } from "./whole-stream.ts";

/** What a request said that its answer says again, or is shaped by. */
interface OpenAiAsk {
  readonly model: string;
  readonly streams: boolean;
  readonly includeUsage: boolean;
}

/** Writes a chat completion, or its chunks. */
export function openAiEncoder(ask: OpenAiAsk, context: ProtocolContext): AnswerEncoder {
  return new OpenAiEncoder(ask, context);
}

class OpenAiEncoder implements AnswerEncoder {
  readonly streamType = sseType;
  readonly streamHeaders = {};
  readonly #ask: OpenAiAsk;
  readonly #toText: (value: unknown) => string;
  readonly #created: number;
  #id = "";
  #usage: Usage | undefined;
  #hasEnded = false;

  constructor(ask: OpenAiAsk, { wallMs, toText }: ProtocolContext) {
    this.#ask = ask;
    this.#toText = toText;
    this.#created = Math.floor(wallMs() / 1000);
  }

  whole(
    outcome: Outcome<unknown, unknown, unknown>,
    http: HttpOutcome,
    meta: AnswerMeta | undefined,
  ): WireAnswer {
    const { status, headers } = http;
    if (!isAnswered(outcome) || outcome.status === "REJECTED") {
      // The guard has tried again where that could help; this client would, twice more, of itself.
      const once = outcome.status === "FAILED" ? { "x-should-retry": "false" } : {};
      const error = openAiFailure(outcome, headers["retry-after"]);
      return toJson(status, { ...headers, ...once }, { error });
    }
    if (this.#ask.streams) {
      return {
        status: 200,
        headers: { ...headers, ...wholeStreamHeaders },
        contentType: sseType,
        body: wholeStream(this, outcome, meta, this.#toText),
      };
    }
    const { usage } = outcome.record;
    const content = outcome.value === undefined ? "" : this.#toText(outcome.value);
    return toJson(status, headers, {
      id: `chatcmpl-${outcome.decision.id}`,
      object: "chat.completion",
      created: this.#created,
      model: this.#ask.model,
      choices: [
        {
          index: 0,
          message: { role: "assistant", content, refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      ...(usage === undefined ? {} : { usage: toUsage(usage) }),
    });
  }

  problem(problem: Problem, headers: Readonly<Record<string, string>> = {}): WireAnswer {
    const error = openAiProblem(problem, headers["retry-after"]);
    return toJson(problem.status, headers, { error });
  }

  begin({ decision }: StreamHead<unknown, unknown, unknown>): string {
    this.#id = `chatcmpl-${decision.id}`;
    return this.#chunk({ role: "assistant", content: "" });
  }

  event(event: StreamEvent<unknown, unknown, unknown>): string {
    if (this.#hasEnded) return "";
    switch (event.type) {
      case "text-delta":
        return this.#chunk({ content: event.text });
      case "reasoning-delta":
        // OpenAI has no word for it; DeepSeek's is read by many clients, and ignored by the others.
        return this.#chunk({ reasoning_content: event.text });
      case "tool-call":
      case "tool-result":
        // They are the guard's: a client that saw a call would believe that it has to run it.
        return "";
      case "usage":
        this.#usage = event.usage;
        return "";
      case "finish":
        this.#hasEnded = true;
        return this.#chunk({}, "stop") + this.#usageChunk() + sseDone;
      case "failed": {
        this.#hasEnded = true;
        const error: OpenAiError = openAiFailure(event.outcome, undefined);
        return toSseData({ error }) + sseDone;
      }
    }
  }

  #chunk(delta: object, finishReason: "stop" | null = null): string {
    return toSseData({
      ...this.#base([{ index: 0, delta, finish_reason: finishReason }]),
      ...(this.#ask.includeUsage ? { usage: null } : {}),
    });
  }

  #usageChunk(): string {
    if (!this.#ask.includeUsage || this.#usage === undefined) return "";
    return toSseData({ ...this.#base([]), usage: toUsage(this.#usage) });
  }

  #base(choices: readonly object[]) {
    const { model } = this.#ask;
    return {
      id: this.#id,
      object: "chat.completion.chunk",
      created: this.#created,
      model,
      choices,
    };
  }
}

const toUsage = ({ inputTokens, outputTokens }: Usage) => ({
  prompt_tokens: inputTokens,
  completion_tokens: outputTokens,
  total_tokens: inputTokens + outputTokens,
});

const toJson = (
  status: number,
  headers: Readonly<Record<string, string>>,
  body: object,
): WireAnswer => ({
  status,
  headers,
  contentType: "application/json; charset=utf-8",
  body: JSON.stringify(body),
});
