import type { ServerResponse } from "node:http";
import type { WireAnswer } from "../protocol.ts";

/** Whether an answer of ours would be the first: the client is there, and nobody has answered. */
export const isFree = (res: ServerResponse): boolean => !res.destroyed && !res.headersSent;

/** Sends an answer that is there as a whole, unless the client is gone or somebody has answered already. */
export function sendWhole(res: ServerResponse, answer: WireAnswer): void {
  if (!isFree(res)) return;
  res.statusCode = answer.status;
  setHeaders(res, answer.headers);
  res.setHeader("content-type", answer.contentType);
  res.setHeader("content-length", Buffer.byteLength(answer.body));
  res.end(answer.body);
}

export function setHeaders(res: ServerResponse, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
}
