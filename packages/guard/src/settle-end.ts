import type { BudgetReservation, FailureCode, HoldEnd, Usage } from "@sluice/contract";
import { failureTable } from "@sluice/policy";
import type { AttemptEnd, Seen } from "./attempt-end.ts";

/**
 * Bytes of a token, for what was certainly used at least: OpenAI's rule of thumb.
 * Source: https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them
 */
const bytesPerToken = 4;

/** How an attempt's holds are given back: what is charged for it, and what its breaker learns. */
export function endOfAttempt(
  ended: AttemptEnd,
  code: FailureCode | undefined,
  reservation: BudgetReservation | undefined,
): HoldEnd {
  const health = code === undefined ? "success" : failureTable[code].health;
  if (ended.kind === "reply") {
    const { reply } = ended;
    if (!reply.ok && !reply.dispatched) return { how: "void", health };
    const usage = reply.usage ?? (reply.ok ? undefined : usageOfCut(ended.seen, reservation));
    return { how: "settle", usage, health };
  }
  const isCancelled = ended.cause.kind === "shut" || ended.cause.kind === "client";
  const usage = isCancelled
    ? usageOfCancelled(ended.seen, reservation)
    : usageOfCut(ended.seen, reservation);
  return { how: "settle", usage, health };
}

/**
 * A stream that we left: the prompt and what was seen of the answer, each byte counted as a token. What
 * does not stream shows nothing of how far it got, so its reservation stays charged.
 */
function usageOfCancelled(
  { bytes }: Seen,
  reservation: BudgetReservation | undefined,
): Usage | undefined {
  if (bytes === undefined || reservation === undefined) return undefined;
  const { inputTokens, outputTokens } = reservation;
  return { inputTokens, outputTokens: Math.min(outputTokens, bytes) };
}

/** A stream that broke off without usage: what was reserved, or what was seen where that is more. */
function usageOfCut(
  { bytes }: Seen,
  reservation: BudgetReservation | undefined,
): Usage | undefined {
  if (bytes === undefined || reservation === undefined) return undefined;
  const outputTokens = Math.ceil(bytes / bytesPerToken);
  if (outputTokens <= reservation.outputTokens) return undefined;
  return { inputTokens: reservation.inputTokens, outputTokens };
}
