import { FailureCode, type ProviderReply } from "@sluice/contract";
import { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import { failureOfError } from "./failure-of-error.ts";

/** Connection errors after which it is certain that no byte of the request left. */
const neverConnected = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

const failed = (code: FailureCode, dispatched = true): ProviderReply => ({
  ok: false,
  code,
  dispatched,
});

/** What the official client threw, without its text. */
export function fromOpenaiError(error: unknown): ProviderReply {
  if (error instanceof APIConnectionTimeoutError) return failed(FailureCode.PROVIDER_TIMEOUT);
  if (error instanceof APIConnectionError) {
    return failed(FailureCode.PROVIDER_UNAVAILABLE, !hasCause(error, neverConnected));
  }
  if (error instanceof APIError && typeof error.status === "number") {
    return {
      ok: false,
      code: failureOfError(error.status, error),
      dispatched: true,
      httpStatus: error.status,
      retryAfterMs: retryAfterMs(error.headers as Headers | undefined),
    };
  }
  // The body ended early: undici's `TypeError: terminated`.
  if (error instanceof TypeError) return failed(FailureCode.STREAM_CUT);
  // A 200 whose body is no JSON.
  return failed(FailureCode.PROVIDER_UNAVAILABLE);
}

function hasCause(error: unknown, codes: ReadonlySet<string>): boolean {
  let current = error as { readonly code?: unknown; readonly cause?: unknown } | undefined;
  for (let depth = 0; depth < 5 && current !== undefined && current !== null; depth += 1) {
    if (typeof current.code === "string" && codes.has(current.code)) return true;
    current = current.cause as typeof current;
  }
  return false;
}

/** Source: RFC 9110, section 10.2.3; `retry-after-ms` is Azure's and OpenAI's. */
function retryAfterMs(headers: Headers | undefined): number | undefined {
  const milliseconds = Number(headers?.get("retry-after-ms") ?? Number.NaN);
  if (milliseconds >= 0) return milliseconds;
  const seconds = Number(headers?.get("retry-after") ?? Number.NaN);
  return seconds >= 0 ? seconds * 1000 : undefined;
}
