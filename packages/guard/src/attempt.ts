import type { Clock, Provider, ProviderCall } from "@sluice/contract";
import type { Tracing } from "./telemetry/tracing.ts";
import type { AttemptEnd, StopCause } from "./attempt-end.ts";
import { defect, parseReply } from "./parse-reply.ts";
import type { Work } from "./work.ts";

export interface AttemptSettings<In> {
  readonly provider: Provider<In>;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly tracing: Tracing;
}

/**
 * Calls the provider once. It is aborted when the caller goes away, the time is up, or the feature is
 * shut; the answer to any of those does not wait for a provider that ignores its signal.
 */
export async function attempt<In>(
  settings: AttemptSettings<In>,
  work: Work<In>,
  call: Omit<ProviderCall<In>, "signal">,
): Promise<AttemptEnd> {
  const { provider, timeoutMs, clock, tracing } = settings;
  const controller = new AbortController();
  const { promise: stopped, resolve } = Promise.withResolvers<AttemptEnd>();
  let cause: StopCause | undefined;
  const stop = (why: StopCause): void => {
    if (cause !== undefined) return;
    cause = why;
    resolve({ kind: "stopped", cause: why });
    controller.abort();
  };

  const client = work.context.request.signal;
  const clientGone = (): void => stop({ kind: "client" });
  work.onStop(stop);
  client?.addEventListener("abort", clientGone, { once: true });
  if (client?.aborted === true) clientGone();
  const cancelTimeout = clock.after(timeoutMs, () => stop({ kind: "timeout" }));
  const span = tracing.startAttempt(provider, call.maxOutputTokens);
  try {
    const end =
      cause === undefined
        ? await Promise.race([
            span.run(() => reply(provider, { ...call, signal: controller.signal })),
            stopped,
          ])
        : await stopped;
    // A provider may turn the abort into an answer of its own before the race is decided.
    const final: AttemptEnd = cause === undefined ? end : { kind: "stopped", cause };
    span.end(final);
    return final;
  } finally {
    work.onStop(undefined);
    cancelTimeout();
    client?.removeEventListener("abort", clientGone);
  }
}

async function reply<In>(provider: Provider<In>, call: ProviderCall<In>): Promise<AttemptEnd> {
  try {
    return { kind: "reply", reply: parseReply(await provider.generate(call)) };
  } catch {
    // A provider reports; one that throws is defective.
    return { kind: "reply", reply: defect };
  }
}
