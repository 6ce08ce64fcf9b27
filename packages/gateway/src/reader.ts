import type { ProtocolContext, ProtocolName, ProtocolRequest, AnswerEncoder } from "./protocol.ts";
import type { Problem } from "@sluice/guard";
import { protocolOf } from "./protocols/negotiate.ts";

export type ReadBody =
  | ProtocolRequest
  | { readonly problem: Problem; readonly encoder: AnswerEncoder };

/** Reads bodies of one wire format, or of whichever they are in. */
export interface Reader {
  read(body: unknown, accept: string | undefined): ReadBody;
}

export function createReader(
  choice: ProtocolName | "negotiated",
  context: ProtocolContext,
): Reader {
  return { read: (body, accept) => protocolOf(choice, body).read(body, accept, context) };
}
