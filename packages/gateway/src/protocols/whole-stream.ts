import type { Outcome } from "@sluice/contract";
import { isAnswered } from "@sluice/guard";
import type { AnswerEncoder, AnswerMeta } from "../protocol.ts";

/** An outcome that is there as a whole, told as the stream that it would have been. */
export function wholeStream(
  encoder: Pick<AnswerEncoder, "begin" | "event">,
  outcome: Outcome<unknown, unknown, unknown>,
  meta: AnswerMeta | undefined,
  toText: (value: unknown) => string,
): string {
  const { decision, record } = outcome;
  let body = encoder.begin({ decision, outcome }, meta);
  const answered = isAnswered(outcome);
  if (answered && "value" in outcome && outcome.value !== undefined) {
    const text = toText(outcome.value);
    if (text !== "") body += encoder.event({ type: "text-delta", text }, meta);
  }
  if (record.usage !== undefined) {
    body += encoder.event({ type: "usage", usage: record.usage }, meta);
  }
  return body + encoder.event({ type: answered ? "finish" : "failed", outcome }, meta);
}

/** Of a stream that is sent as a whole; it is for one client at one time. */
export const wholeStreamHeaders = { "cache-control": "no-store" } as const;
