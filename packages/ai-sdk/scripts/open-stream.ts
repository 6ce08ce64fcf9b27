import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { MockLanguageModelV4 } from "ai/test";

/** A model whose one stream a test writes, part by part, and which ignores its signal. */
export interface OpenStream {
  readonly model: MockLanguageModelV4;
  write(...parts: readonly LanguageModelV4StreamPart[]): void;
  end(): void;
  breakOff(error: unknown): void;
  /** Resolves when whoever reads it has left. */
  readonly cancelled: Promise<void>;
}

export function openStream(): OpenStream {
  const cancelled = Promise.withResolvers<void>();
  let controller: ReadableStreamDefaultController<LanguageModelV4StreamPart> | undefined;
  const stream = new ReadableStream<LanguageModelV4StreamPart>({
    start(started) {
      controller = started;
    },
    cancel: () => cancelled.resolve(),
  });
  return {
    model: new MockLanguageModelV4({ doStream: { stream } }),
    write(...parts) {
      for (const part of parts) controller?.enqueue(part);
    },
    end: () => controller?.close(),
    breakOff: (error) => controller?.error(error),
    cancelled: cancelled.promise,
  };
}

/** A model that never answers and ignores its signal. */
export function silentModel(): MockLanguageModelV4 {
  const { promise } = Promise.withResolvers<never>();
  return new MockLanguageModelV4({ doGenerate: () => promise, doStream: () => promise });
}
