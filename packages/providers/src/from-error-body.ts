import type { ProviderFailure, Usage } from "@sluice/contract";
import { parseDurationMs, upstreamFailure } from "@sluice/policy";
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
    type: fields["type"] ?? wordOf(fields["status"]) ?? inner["code"] ?? exceptionOf(fields),
    message: typeof error === "string" ? error : (fields["message"] ?? fields["detail"]),
    retryAfterMs: context.retryAfterMs ?? retryDelayOf(fields),
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
  const holder: unknown = Array.isArray(body) ? body[0] : body;
  const { error } = objectOf(holder);
  if (!isPresent(error)) return holder;
  return Array.isArray(error) ? (listOf(error)[0] ?? holder) : error;
}

/** Groq and others name in a 200 the status that the error would have had, and Bedrock in its own 424. */
function statusOf(fields: JsonObject, status: number): number {
  if (status >= 300 && status !== 424) return status;
  const told = fields["originalStatusCode"] ?? fields["status_code"] ?? fields["status"];
  return Number.isInteger(told) && (told as number) >= 400 && (told as number) < 600
    ? (told as number)
    : status;
}

/** AWS's name of an error, which may stand after its namespace. */
function exceptionOf(fields: JsonObject): string | undefined {
  return wordOf(fields["__type"])?.split("#").at(-1);
}

/** How long Google's error asks to wait. Source: https://google.aip.dev/193 (RetryInfo) */
function retryDelayOf(fields: JsonObject): number | undefined {
  const delays = listOf(fields["details"]).map((detail) => wordOf(objectOf(detail)["retryDelay"]));
  const delay = delays.find((told) => told !== undefined);
  return delay === undefined ? undefined : parseDurationMs(delay);
}
