import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { FailureCode } from "@sluice/contract";
import type { HandedOver, HandedOverEnd } from "@sluice/guard";
import { failureOfErrorPart, failureOfRead } from "./failure-of-error.ts";
import { failureOfStreamFinish } from "./failure-of-finish.ts";
import { OpenBlocks } from "./open-blocks.ts";
import { outputBytes } from "./output-bytes.ts";
import { SluiceFailedError } from "./sluice-failed-error.ts";
import { toEnd } from "./to-end.ts";
import { toStopError } from "./to-stop-error.ts";
import { toUsage } from "./to-usage.ts";

type Part = LanguageModelV4StreamPart;

/** How a call failed; `error` is what the upstream threw or put into its stream, where it did. */
export interface FailedCall {
  readonly failed: FailureCode;
  readonly error: unknown;
}

/** Parts before the first output are a start, metadata and pings; more of them are handed on unseen. */
const maxHead = 64;

const cut: HandedOverEnd = { ok: false, code: FailureCode.STREAM_CUT, dispatched: true };
const left: HandedOverEnd = { ok: false, code: FailureCode.CLIENT_ABORTED, dispatched: true };

/**
 * Reads a model's stream for a consumer, only as fast as it is read, and settles the call whether or not
 * anybody reads on. Whatever becomes of the upstream, the consumer's stream ends with a `finish` and
 * closes.
 */
export class Pump {
  readonly #reader: ReadableStreamDefaultReader<Part>;
  readonly #handed: HandedOver;
  readonly #client: AbortSignal | undefined;
  readonly #blocks = new OpenBlocks();
  readonly #onStop = (): void => this.#settle(left);
  /** The first `error` part says what the call failed of; its `finish` may still tell the usage. */
  #failure: HandedOverEnd | undefined;
  #end: { readonly code: FailureCode | undefined; readonly error: unknown } | undefined;
  #isLeft = false;

  constructor(stream: ReadableStream<Part>, handed: HandedOver, client: AbortSignal | undefined) {
    this.#reader = stream.getReader();
    this.#handed = handed;
    this.#client = client;
    handed.signal.addEventListener("abort", this.#onStop, { once: true });
    if (handed.signal.aborted) this.#onStop();
  }

  /** Reads on until there is output or an end: from then on the stream is the consumer's. */
  async open(): Promise<ReadableStream<Part> | FailedCall> {
    const head: Part[] = [];
    while (head.length < maxHead) {
      const part = await this.#read();
      if (part?.type === "error") this.#settle(this.#failure ?? cut, part.error);
      if (part === undefined || part.type === "error") return this.#failed();
      head.push(part);
      if (part.type === "finish" || outputBytes(part) !== undefined) break;
    }
    return this.#toStream(head);
  }

  #toStream(head: readonly Part[]): ReadableStream<Part> {
    this.#awaitsReader(true);
    return new ReadableStream<Part>(
      {
        start: (controller) => {
          for (const part of head) controller.enqueue(part);
          if (head.at(-1)?.type === "finish") controller.close();
        },
        pull: (controller) => this.#pull(controller),
        cancel: () => {
          this.#isLeft = true;
          this.#settle(left);
        },
      },
      // A part is read when one is asked for.
      { highWaterMark: 0 },
    );
  }

  async #pull(controller: ReadableStreamDefaultController<Part>): Promise<void> {
    this.#awaitsReader(false);
    const part = await this.#read();
    if (this.#isLeft) return;
    for (const each of part === undefined ? this.#ending() : [part]) controller.enqueue(each);
    if (part === undefined || part.type === "finish") controller.close();
    else this.#awaitsReader(true);
  }

  /** The next part; undefined when the call is over without a finish of the model's. */
  async #read(): Promise<Part | undefined> {
    if (this.#isOver()) return undefined;
    try {
      const { done, value: part } = await this.#reader.read();
      // A stop meanwhile has cancelled the reader.
      if (this.#isOver()) return undefined;
      if (done) {
        this.#settle(this.#failure ?? cut);
        return undefined;
      }
      this.#note(part);
      return this.#handed.stopped === undefined ? part : undefined;
    } catch (error) {
      // It broke off, or a part of it is none.
      this.#settle(toEnd(failureOfRead(error, this.#handed.signal)), error);
      return undefined;
    }
  }

  #note(part: Part): void {
    const bytes = outputBytes(part);
    if (bytes === undefined) this.#handed.progress();
    else this.#handed.content(bytes);
    this.#blocks.note(part);
    if (part.type === "error") this.#failure ??= toEnd(failureOfErrorPart(part.error));
    if (part.type !== "finish") return;
    const usage = toUsage(part.usage);
    const code = failureOfStreamFinish(part.finishReason);
    if (this.#failure !== undefined) this.#settle({ ...this.#failure, usage });
    else if (code === undefined) this.#settle({ ok: true, usage });
    else this.#settle({ ok: false, code, dispatched: true, usage });
  }

  /** Gives the holds back, once, and leaves the upstream. */
  #settle(result: HandedOverEnd, error?: unknown): void {
    if (this.#end !== undefined) return;
    this.#handed.signal.removeEventListener("abort", this.#onStop);
    const code = this.#handed.end(result);
    this.#end = { code, error: this.#handed.stopped === undefined ? error : undefined };
    this.#reader.cancel().catch(() => undefined);
  }

  #failed(): FailedCall {
    return { failed: this.#end?.code ?? FailureCode.INTERNAL, error: this.#end?.error };
  }

  /** What ends the consumer's stream in place of the model's own finish. */
  *#ending(): Generator<Part, void> {
    yield* this.#blocks.ends();
    const { failed, error } = this.#failed();
    if (this.#handed.stopped !== undefined) {
      yield { type: "error", error: toStopError(failed, this.#client) };
    } else if (this.#failure === undefined) {
      yield { type: "error", error: new SluiceFailedError(failed, { cause: error }) };
    }
    // Else the model's own word on it has been handed on.
    yield { type: "finish", finishReason: { unified: "error", raw: undefined }, usage: noUsage };
  }

  #awaitsReader(awaits: boolean): void {
    if (this.#end === undefined) this.#handed.awaitsReader(awaits);
  }

  #isOver(): boolean {
    return this.#end !== undefined;
  }
}

/** None was told. */
const noUsage: Extract<Part, { type: "finish" }>["usage"] = {
  inputTokens: {
    total: undefined,
    noCache: undefined,
    cacheRead: undefined,
    cacheWrite: undefined,
  },
  outputTokens: { total: undefined, text: undefined, reasoning: undefined },
};
