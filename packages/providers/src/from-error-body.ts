import type { ProviderFailure, Usage } from "@sluice/contract";
import { upstreamFailure } from "@sluice/policy";
import { isPresent, listOf, objectOf, wordOf, type JsonObject } from "./narrow-json.ts";

/** What came beside an error's body. */
export interface ErrorContext {
  /** The answer's HTTP status. */
  readonly status: number;
  /** What its headers ask to wait. */
  readonly retryAfterMs?: number | undefined;
  readonly usage?: Usage | undefined;
}

/**
 * The failure of an error's body, in any of the shapes that hosts use: OpenAI's object, a bare string
 * (xAI, Ollama), an array (Cloudflare, Gemini), FastAPI's `detail`, or no envelope at all.
 */
export function fromErrorBody(body: unknown, context: ErrorContext): ProviderFailure {
  const error = errorOf(body);
  const fields = objectOf(error);
  const inner = objectOf(fields["innererror"]);
  const { code, retryAfterMs } = upstreamFailure({
    status: statusOf(fields, context.status),
    code: fields["code"] ?? objectOf(body)["code"],
    type: fields["type"] ?? wordOf(fields["status"]) ?? inner["code"],
    message: typeof error === "string" ? error : (fields["message"] ?? fields["detail"]),
    retryAfterMs: context.retryAfterMs,
  });
  return {
    ok: false,
    code,
    dispatched: true,
    ...(context.usage === undefined ? {} : { usage: context.usage }),
    // A 200 says nothing of the error inside it.
    ...(context.status === 200 ? {} : { httpStatus: context.status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** What stands for the error in a body: what it holds under `error`, or the body itself. */
function errorOf(body: unknown): unknown {
  if (Array.isArray(body)) return errorOf(listOf(body)[0]);
  const { error } = objectOf(body);
  if (!isPresent(error)) return body;
  return Array.isArray(error) ? (listOf(error)[0] ?? body) : error;
}

/** Groq and others name in a 200 the status that the error would have had. */
function statusOf(fields: JsonObject, status: number): number {
  if (status >= 400) return status;
  const told = fields["status_code"] ?? fields["status"];
  return Number.isInteger(told) && (told as number) >= 400 && (told as number) < 600
    ? (told as number)
    : status;
}
