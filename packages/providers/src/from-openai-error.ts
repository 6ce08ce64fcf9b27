import { FailureCode, type ProviderReply } from "@sluice/contract";
import { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import { failureOfError } from "./failure-of-error.ts";

/** Connection errors after which it is certain that no byte of the request left. */
const neverConnected = new Set<unknown>([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);
/** System calls that come before any byte. */
const beforeConnected = new Set<unknown>(["connect", "getaddrinfo"]);

const failed = (code: FailureCode, dispatched = true): ProviderReply => ({
  ok: false,
  code,
  dispatched,
});

/** What the official client threw, without its text. */
export function fromOpenaiError(error: unknown): ProviderReply {
  if (error instanceof APIConnectionError) {
    const code =
      error instanceof APIConnectionTimeoutError
        ? FailureCode.PROVIDER_TIMEOUT
        : FailureCode.PROVIDER_UNAVAILABLE;
    return failed(code, mayHaveConnected(error));
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
  if (error instanceof TypeError) {
    // undici's word for a body that ended early. Any other TypeError came of writing the request.
    const cut = error.message === "terminated" || error.cause !== undefined;
    return failed(cut ? FailureCode.STREAM_CUT : FailureCode.INTERNAL);
  }
  // A 200 whose body is no JSON.
  return failed(FailureCode.PROVIDER_UNAVAILABLE);
}

function mayHaveConnected(error: Error): boolean {
  let current: unknown = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    const { code, syscall } = current as { readonly code?: unknown; readonly syscall?: unknown };
    if (neverConnected.has(code) || beforeConnected.has(syscall)) return false;
    current = current.cause;
  }
  return true;
}

/** Source: RFC 9110, section 10.2.3; `retry-after-ms` is Azure's and OpenAI's. */
function retryAfterMs(headers: Headers | undefined): number | undefined {
  const milliseconds = Number(headers?.get("retry-after-ms") ?? Number.NaN);
  if (milliseconds >= 0) return milliseconds;
  const seconds = Number(headers?.get("retry-after") ?? Number.NaN);
  return seconds >= 0 ? seconds * 1000 : undefined;
}
