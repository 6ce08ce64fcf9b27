import { FailureCode, failureCodes, type ProviderFailure } from "@sluice/contract";
import { retryAfterMs } from "@sluice/policy";
import { fromErrorBody } from "./from-error-body.ts";
import { isPresent, objectOf, type JsonObject } from "./narrow-json.ts";
import { ProviderError } from "./provider-error.ts";

/**
 * What a guarded function threw, without its text. An error that holds an upstream's answer, as those of
 * the OpenAI client (`error`, `headers`), the AI SDK (`statusCode`, `responseBody`, `data`) and axios
 * (`response`) do, is read as that answer would have been.
 */
export function failureOfThrow(error: unknown): ProviderFailure {
  if (ProviderError.isInstance(error) && isFailureCode(error.failure)) {
    return { ok: false, code: error.failure, dispatched: true };
  }
  // What the AI SDK throws after its last retry.
  const thrown = objectOf(objectOf(error)["lastError"] ?? error);
  const response = objectOf(thrown["response"]);
  const status = statusOf(thrown["status"] ?? thrown["statusCode"] ?? response["status"]);
  const body = bodyOf(thrown, response);
  if (status === undefined && body === undefined) {
    return { ok: false, code: FailureCode.PROVIDER_UNAVAILABLE, dispatched: true };
  }
  const headers = headersOf(thrown["headers"] ?? thrown["responseHeaders"] ?? response["headers"]);
  const told = status ?? 200;
  return fromErrorBody(body ?? thrown, { status: told, retryAfterMs: retryAfterMs(told, headers) });
}

function statusOf(told: unknown): number | undefined {
  return typeof told === "number" && told >= 400 && told < 600 ? told : undefined;
}

function bodyOf(thrown: JsonObject, response: JsonObject): unknown {
  const bodies = [
    thrown["error"],
    parsed(thrown["responseBody"]),
    thrown["data"],
    response["data"],
  ];
  return bodies.find((body) => typeof body === "object" && isPresent(body));
}

function parsed(text: unknown): unknown {
  try {
    return typeof text === "string" ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

function headersOf(told: unknown): Headers {
  try {
    return new Headers(objectOf(told) as Record<string, string>);
  } catch {
    return new Headers();
  }
}

/** Another copy of the package, or JavaScript, may know other codes. */
export function isFailureCode(code: unknown): code is FailureCode {
  return (failureCodes as readonly unknown[]).includes(code);
}
