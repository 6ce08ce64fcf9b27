import type { Provider, ProviderCall, ProviderReply } from "@sluice/contract";
import type { AnswerText } from "./answer-text.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import { defect, parseReply } from "./parse-reply.ts";
import { pullStream } from "./pull-stream.ts";
import type { Running } from "./running.ts";
import type { Tracing } from "./telemetry/tracing.ts";

/**
 * Calls the provider once. The answer to a stop (the caller gone, the time up, the feature shut) does
 * not wait for a provider that ignores its signal.
 * @param answer where the text flows to; undefined asks for the answer whole
 */
export async function attempt<In>(
  provider: Provider<In>,
  call: ProviderCall<In>,
  running: Running<In>,
  tracing: Tracing,
  answer: AnswerText | undefined,
): Promise<AttemptEnd> {
  const span = tracing.startAttempt(provider, call.model, call.maxOutputTokens);
  const end =
    running.cause === undefined
      ? await Promise.race([
          span.run(async (): Promise<AttemptEnd> => {
            const reply = await replyOf(provider, call, running, answer);
            return { kind: "reply", reply, seen: running.seen };
          }),
          running.stopped,
        ])
      : await running.stopped;
  // A provider may turn the abort into an answer of its own before the race is decided.
  const { cause, seen } = running;
  const final: AttemptEnd = cause === undefined ? end : { kind: "stopped", cause, seen };
  span.end(final);
  return final;
}

async function replyOf<In>(
  provider: Provider<In>,
  call: ProviderCall<In>,
  running: Running<In>,
  answer: AnswerText | undefined,
): Promise<ProviderReply> {
  try {
    return answer === undefined || provider.stream === undefined
      ? parseReply(await provider.generate(call))
      : await pullStream(provider.stream(call), running, answer);
  } catch {
    // A provider reports; one that throws is defective.
    return defect;
  }
}
