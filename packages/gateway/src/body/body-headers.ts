import type { IncomingHttpHeaders } from "node:http";

/** Source: RFC 9112, section 6: a message has a body if it says how long it is, or that it comes in chunks. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers["transfer-encoding"] !== undefined || contentLengthOf(headers) !== undefined;
}

export function contentLengthOf(headers: IncomingHttpHeaders): number | undefined {
  const length = headers["content-length"];
  return length === undefined || !/^\d+$/.test(length) ? undefined : Number(length);
}

/** `application/json`, and what is built on it. */
export function isJson(headers: IncomingHttpHeaders): boolean {
  return /^\s*application\/(?:[^\s;/]+\+)?json\s*(?:;|$)/i.test(headers["content-type"] ?? "");
}

/** Of the content type; UTF-8 where it names none. */
export function charsetOf(headers: IncomingHttpHeaders): string {
  const named = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(headers["content-type"] ?? "");
  return named?.[1]?.toLowerCase() ?? "utf-8";
}
