import type {
  FailureCode,
  Provider,
  ProviderAsk,
  ProviderCall,
  ProviderEvent,
  ProviderNotReady,
  ProviderReply,
  Usage,
} from "@sluice/contract";

/** One call that was made of a fake provider. The first answer counts; without one it hangs. */
export interface FakeCall<In> {
  readonly asked: ProviderCall<In>;
  /** The answer was asked for as a stream. */
  readonly streams: boolean;
  /** Of a call that does not stream. */
  reply(reply: ProviderReply): void;
  /** Rejects, as a defective provider does. */
  fail(error: unknown): void;
  /** Of a stream: what comes next. */
  emit(...events: readonly ProviderEvent[]): void;
  /** Of a stream: it ends without a terminal event. */
  cut(): void;
  /** Events of the stream that were taken. */
  readonly taken: number;
  /** The stream was left, before its end or after. */
  readonly left: boolean;
}

export interface FakeProvider<In> extends Provider<In> {
  readonly calls: readonly FakeCall<In>[];
  /** @throws Error when none was made. */
  last(): FakeCall<In>;
}

export interface FakeProviderOptions<In> {
  readonly name?: string;
  readonly model?: string;
  /** Whether it can stream. Default false. */
  readonly streams?: boolean;
  /** Default: a prompt of no token, so that a test reads the output's budget alone. */
  readonly inputTokens?: (input: In, ask: ProviderAsk<In>) => number;
  readonly notReady?: () => ProviderNotReady | undefined;
  /** Asked inside each call; what it throws the provider throws. Without it, calls wait for the test. */
  readonly onCall?: (call: FakeCall<In>) => void;
}

/** A provider that answers what a test says, when the test says it. */
export function fakeProvider<In>(options: FakeProviderOptions<In> = {}): FakeProvider<In> {
  const calls: FakeCall<In>[] = [];
  const { name = "fake", model, inputTokens = () => 0, notReady, onCall } = options;
  const provider: FakeProvider<In> = {
    name,
    ...(model === undefined ? {} : { model }),
    inputTokens: (ask) => inputTokens(ask.input, ask),
    ...(notReady === undefined ? {} : { notReady }),
    calls,
    last() {
      const call = calls.at(-1);
      if (call === undefined) throw new Error("fakeProvider: no call was made");
      return call;
    },
    generate(asked) {
      const { promise, resolve, reject } = Promise.withResolvers<ProviderReply>();
      const call: FakeCall<In> = {
        asked,
        streams: false,
        reply: resolve,
        fail: reject,
        emit: notAStream,
        cut: notAStream,
        taken: 0,
        left: false,
      };
      calls.push(call);
      onCall?.(call);
      return promise;
    },
  };
  if (options.streams !== true) return provider;
  return {
    ...provider,
    stream(asked) {
      const { call, events } = fakeStream(asked);
      calls.push(call);
      onCall?.(call);
      return events;
    },
  };
}

function notAStream(): never {
  throw new Error("fakeProvider: this call was not asked for as a stream");
}

function fakeStream<In>(asked: ProviderCall<In>): {
  readonly call: FakeCall<In>;
  readonly events: AsyncIterable<ProviderEvent>;
} {
  type Result = IteratorResult<ProviderEvent, undefined>;
  const waiting: ProviderEvent[] = [];
  let reader: PromiseWithResolvers<Result> | undefined;
  let end: { readonly error?: unknown } | undefined;
  let taken = 0;
  let left = false;
  const look = (): void => {
    if (reader === undefined) return;
    const { resolve, reject } = reader;
    const event = waiting.shift();
    if (event !== undefined) {
      taken += 1;
      reader = undefined;
      resolve({ done: false, value: event });
    } else if (end !== undefined) {
      reader = undefined;
      if ("error" in end) reject(end.error);
      else resolve({ done: true, value: undefined });
    }
  };
  const endWith = (how: { readonly error?: unknown }): void => {
    end ??= how;
    look();
  };
  return {
    call: {
      asked,
      streams: true,
      reply: () => {
        throw new Error("fakeProvider: this call was asked for as a stream");
      },
      fail: (error) => endWith({ error }),
      emit(...events) {
        waiting.push(...events);
        look();
      },
      cut: () => endWith({}),
      get taken() {
        return taken;
      },
      get left() {
        return left;
      },
    },
    events: {
      [Symbol.asyncIterator]: () => ({
        next() {
          reader = Promise.withResolvers<Result>();
          const { promise } = reader;
          look();
          return promise;
        },
        async return() {
          left = true;
          endWith({});
          return { done: true, value: undefined };
        },
      }),
    },
  };
}

export const delta = (text: string): ProviderEvent => ({ type: "text-delta", text });

export function valueReply(value: unknown, usage?: Usage): ProviderReply {
  return { ok: true, output: { kind: "value", value }, usage };
}

export function textReply(text: string, usage?: Usage): ProviderReply {
  return { ok: true, output: { kind: "text", text }, usage };
}

export function errorReply(
  code: FailureCode,
  more: {
    readonly dispatched?: boolean;
    readonly usage?: Usage;
    readonly retryAfterMs?: number;
  } = {},
): Extract<ProviderReply, { ok: false }> {
  return {
    ok: false,
    code,
    dispatched: more.dispatched ?? true,
    usage: more.usage,
    retryAfterMs: more.retryAfterMs,
  };
}
