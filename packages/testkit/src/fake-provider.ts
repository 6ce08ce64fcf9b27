import type {
  FailureCode,
  Provider,
  ProviderCall,
  ProviderNotReady,
  ProviderReply,
  Usage,
} from "@sluice/contract";

/** One call that was made of a fake provider. The first answer counts; without one it hangs. */
export interface FakeCall<In> {
  readonly asked: ProviderCall<In>;
  reply(reply: ProviderReply): void;
  /** Rejects, as a defective provider does. */
  fail(error: unknown): void;
}

export interface FakeProvider<In> extends Provider<In> {
  readonly calls: readonly FakeCall<In>[];
  /** @throws Error when none was made. */
  last(): FakeCall<In>;
}

export interface FakeProviderOptions<In> {
  readonly name?: string;
  readonly model?: string;
  /** Default: a prompt of no token, so that a test reads the output's budget alone. */
  readonly inputTokens?: (input: In) => number;
  readonly notReady?: () => ProviderNotReady | undefined;
  /** Asked inside each call; what it throws the provider throws. Without it, calls wait for the test. */
  readonly onCall?: (call: FakeCall<In>) => void;
}

/** A provider that answers what a test says, when the test says it. */
export function fakeProvider<In>(options: FakeProviderOptions<In> = {}): FakeProvider<In> {
  const calls: FakeCall<In>[] = [];
  const { name = "fake", model, inputTokens = () => 0, notReady, onCall } = options;
  return {
    name,
    ...(model === undefined ? {} : { model }),
    inputTokens,
    ...(notReady === undefined ? {} : { notReady }),
    calls,
    last() {
      const call = calls.at(-1);
      if (call === undefined) throw new Error("fakeProvider: no call was made");
      return call;
    },
    generate(asked) {
      const { promise, resolve, reject } = Promise.withResolvers<ProviderReply>();
      const call: FakeCall<In> = { asked, reply: resolve, fail: reject };
      calls.push(call);
      onCall?.(call);
      return promise;
    },
  };
}

export function valueReply(value: unknown, usage?: Usage): ProviderReply {
  return { ok: true, output: { kind: "value", value }, usage };
}

export function textReply(text: string, usage?: Usage): ProviderReply {
  return { ok: true, output: { kind: "text", text }, usage };
}

export function errorReply(
  code: FailureCode,
  more: { readonly dispatched?: boolean; readonly usage?: Usage } = {},
): ProviderReply {
  return { ok: false, code, dispatched: more.dispatched ?? true, usage: more.usage };
}
