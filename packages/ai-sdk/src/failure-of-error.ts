import {
  APICallError,
  EmptyResponseBodyError,
  InvalidPromptError,
  LoadAPIKeyError,
  LoadSettingError,
  NoSuchModelError,
  UnsupportedFunctionalityError,
} from "@ai-sdk/provider";
import { FailureCode, type ProviderFailure } from "@sluice/contract";
import { causesOf, mayHaveConnected, retryAfterMs, upstreamFailure } from "@sluice/policy";
import { parseToldError, toToldError, toToldStatus } from "./to-upstream-error.ts";

/** What a body or a connection that ended early is called. */
const cutCodes = new Set<unknown>(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

/** What a model threw or its stream reported, as codes and numbers; nothing of its text is kept. */
function failureOfError(error: unknown): ProviderFailure {
  if (APICallError.isInstance(error)) return failureOfAnswer(error);
  if (LoadAPIKeyError.isInstance(error)) return failed(FailureCode.PROVIDER_AUTH, false);
  if (LoadSettingError.isInstance(error)) return failed(FailureCode.INTERNAL, false);
  if (NoSuchModelError.isInstance(error) || InvalidPromptError.isInstance(error)) {
    return failed(FailureCode.PROVIDER_BAD_REQUEST, false);
  }
  if (UnsupportedFunctionalityError.isInstance(error)) {
    return failed(FailureCode.PROVIDER_BAD_REQUEST);
  }
  if (EmptyResponseBodyError.isInstance(error)) return failed(FailureCode.STREAM_CUT);
  if (isTimeout(error)) return failed(FailureCode.PROVIDER_TIMEOUT);
  if (isCut(error)) return failed(FailureCode.STREAM_CUT);
  return failed(FailureCode.PROVIDER_UNAVAILABLE, mayHaveConnected(error));
}

/** What an upstream put into a stream that was going well: an error of a call, or its own object. */
export function failureOfErrorPart(error: unknown): ProviderFailure {
  if (error instanceof Error) return failureOfError(error);
  const status = toToldStatus(error) ?? 200;
  return { ok: false, dispatched: true, ...upstreamFailure({ status, ...toToldError(error) }) };
}

/** What broke a call off; what a model throws when it is aborted is its own. */
export function failureOfCall(error: unknown, signal: AbortSignal): ProviderFailure {
  return signal.aborted ? failed(FailureCode.CLIENT_ABORTED) : failureOfError(error);
}

/** What broke a stream off: whatever it is called, the answer ended before it was complete. */
export function failureOfRead(error: unknown, signal: AbortSignal): ProviderFailure {
  if (signal.aborted) return failed(FailureCode.CLIENT_ABORTED);
  if (APICallError.isInstance(error)) return failureOfAnswer(error);
  return failed(isTimeout(error) ? FailureCode.PROVIDER_TIMEOUT : FailureCode.STREAM_CUT);
}

function failureOfAnswer(error: APICallError): ProviderFailure {
  const { statusCode: httpStatus, responseHeaders } = error;
  if (httpStatus === undefined) {
    const code = isTimeout(error.cause)
      ? FailureCode.PROVIDER_TIMEOUT
      : FailureCode.PROVIDER_UNAVAILABLE;
    return failed(code, mayHaveConnected(error));
  }
  // An answer that began well, and that could not be read: cut, or no JSON.
  if (httpStatus < 400) {
    const cut = isCut(error.cause) || EmptyResponseBodyError.isInstance(error.cause);
    const code = cut ? FailureCode.STREAM_CUT : FailureCode.PROVIDER_UNAVAILABLE;
    return { ...failed(code), httpStatus };
  }
  const told =
    error.data === undefined ? parseToldError(error.responseBody) : toToldError(error.data);
  const failure = upstreamFailure({
    status: httpStatus,
    ...told,
    retryAfterMs: retryAfterMs(httpStatus, { get: (name) => responseHeaders?.[name] ?? null }),
  });
  return { ok: false, dispatched: true, httpStatus, ...failure };
}

function failed(code: FailureCode, dispatched = true): ProviderFailure {
  return { ok: false, code, dispatched };
}

/** undici says `terminated` of a body that ended early; others say it in the code of a cause. */
function isCut(error: unknown): boolean {
  return causesOf(error).some(
    (cause) =>
      (cause instanceof TypeError && cause.message === "terminated") || cutCodes.has(cause.code),
  );
}

function isTimeout(error: unknown): boolean {
  return causesOf(error).some(
    ({ name, code }) =>
      name === "TimeoutError" ||
      code === "UND_ERR_HEADERS_TIMEOUT" ||
      code === "UND_ERR_BODY_TIMEOUT",
  );
}
