import type { UpstreamError } from "@sluice/policy";

/** What an error body tells of itself, wherever its host puts it. */
export type ToldError = Pick<UpstreamError, "code" | "type" | "message">;

/** A longer body is a page, not an error. */
const longestBody = 65_536;

/** An error body as a model parsed it: `{ error }`, the error itself, its text, or a list of one. */
export function toToldError(value: unknown): ToldError {
  if (typeof value === "string") return { message: value };
  const body = objectOf(Array.isArray(value) ? value[0] : value);
  const error = body["error"] ?? objectOf(body["response"])["error"];
  if (typeof error === "string") return { code: body["code"], message: error };
  const { code, type, status, message } = error === undefined ? body : objectOf(error);
  // Gemini names the kind in `status`.
  return { code, type: type ?? status, message };
}

/** The HTTP status that a model read out of an error inside a 200. */
export function toToldStatus(value: unknown): number | undefined {
  const { statusCode } = objectOf(value);
  return Number.isInteger(statusCode) ? (statusCode as number) : undefined;
}

/** The same of a body that the model did not parse. */
export function parseToldError(body: string | undefined): ToldError {
  if (body === undefined || body.length > longestBody) return {};
  try {
    return toToldError(JSON.parse(body));
  } catch {
    return {};
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
