import { FailureCode, type HoldEnd, type ProviderFailure, type Usage } from "@sluice/contract";
import { failureTable } from "@sluice/policy";
import type { AttemptEnd, Seen } from "./attempt-end.ts";
import type { Reserved } from "./attempt-holds.ts";

/**
 * Bytes of a token, for what was certainly used at least: OpenAI's rule of thumb.
 * Source: https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them
 */
const bytesPerToken = 4;

/** Failures that are told at an answer's end: what it told of its tokens is the whole. */
const atTheEnd: ReadonlySet<FailureCode> = new Set([
  FailureCode.OUTPUT_TRUNCATED,
  FailureCode.REFUSED,
  FailureCode.CONTENT_FILTERED,
]);

const nothing: Usage = { inputTokens: 0, outputTokens: 0 };

/** How an attempt's holds are given back: what is charged for it, and what its breaker learns. */
export function endOfAttempt(
  ended: AttemptEnd,
  code: FailureCode | undefined,
  reservation: Reserved | undefined,
): HoldEnd {
  const health = code === undefined ? "success" : failureTable[code].health;
  const { seen } = ended;
  if (ended.kind === "stopped") {
    const isLeft = ended.cause.kind === "shut" || ended.cause.kind === "client";
    const usage = isLeft ? usageOfLeft(seen, reservation) : usageOfCut(seen, reservation);
    return { how: "settle", usage, health };
  }
  const { reply } = ended;
  if (reply.ok) return { how: "settle", usage: reply.usage, health };
  if (!reply.dispatched) return { how: "void", health };
  if (isTurnedDown(reply)) return { how: "settle", usage: nothing, health };
  // Of an answer that came whole the usage is the whole too.
  if (seen.bytes === undefined || atTheEnd.has(reply.code)) {
    return { how: "settle", usage: reply.usage, health };
  }
  // A text that the contract refuses is left by ourselves.
  const isLeft = reply.code === FailureCode.OUTPUT_SCHEMA_INVALID;
  const usage = isLeft ? usageOfLeft(seen, reservation) : usageOfCut(seen, reservation);
  return { how: "settle", usage, health };
}

/** A host that refuses a request makes no token of it. A timeout of its own may come after many. */
function isTurnedDown({ httpStatus = 0, usage }: ProviderFailure): boolean {
  return usage === undefined && httpStatus >= 300 && httpStatus < 500 && httpStatus !== 408;
}

/**
 * A stream that we left: the prompt and what was seen of the answer, each byte counted as a token, or what
 * it told where that is more. What does not stream shows nothing of how far it got, so its reservation
 * stays charged.
 */
function usageOfLeft({ bytes, usage }: Seen, reservation: Reserved | undefined): Usage | undefined {
  if (bytes === undefined || reservation === undefined) return usage;
  const { inputTokens, outputTokens } = reservation;
  return most({ inputTokens, outputTokens: Math.min(outputTokens, bytes) }, usage);
}

/** A stream that broke off: what was reserved, or what was seen or told where that is more. */
function usageOfCut({ bytes, usage }: Seen, reservation: Reserved | undefined): Usage | undefined {
  if (bytes === undefined || reservation === undefined) return usage;
  const { inputTokens, outputTokens } = reservation;
  const seen = { inputTokens: 0, outputTokens: Math.ceil(bytes / bytesPerToken) };
  return most(most({ inputTokens, outputTokens }, seen), usage);
}

function most(one: Usage, other: Usage | undefined): Usage {
  return {
    inputTokens: Math.max(one.inputTokens, other?.inputTokens ?? 0),
    outputTokens: Math.max(one.outputTokens, other?.outputTokens ?? 0),
  };
}
