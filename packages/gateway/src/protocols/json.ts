import { isAnswered, type HttpOutcome } from "@sluice/guard";
import type { AnswerEncoder, AnswerMeta, Protocol, ProtocolContext } from "../protocol.ts";
import { acceptsEventStream } from "./accepts-event-stream.ts";
import { toSse } from "./json-sse.ts";
import { isObject } from "./own-field.ts";
import { sseType } from "./sse.ts";
import { wholeStream, wholeStreamHeaders } from "./whole-stream.ts";

/**
 * The application's own schema in, the contract's value out; as server-sent events for a client whose
 * `Accept` names them before JSON.
 */
export const jsonProtocol: Protocol = {
  name: "json",
  recognizes: () => true,
  read(body, accept, context) {
    const streams = acceptsEventStream(accept);
    return { input: body, streams, encoder: jsonEncoder(streams, context) };
  },
};

function jsonEncoder(streams: boolean, { toText }: ProtocolContext): AnswerEncoder {
  let hasEnded = false;
  const encoder: AnswerEncoder = {
    streamType: sseType,
    streamHeaders: {},
    whole(outcome, http, meta) {
      if (!streams || !isAnswered(outcome)) {
        return toJson(http, outcome.status === "REJECTED" ? undefined : meta);
      }
      return {
        status: 200,
        headers: { ...http.headers, ...wholeStreamHeaders },
        contentType: sseType,
        body: wholeStream(encoder, outcome, meta, toText),
      };
    },
    problem: (problem, headers = {}) =>
      toJson({
        status: problem.status,
        headers,
        contentType: "application/problem+json",
        body: problem,
      }),
    begin: () => "",
    event(event, meta) {
      if (hasEnded) return "";
      hasEnded = event.type === "finish" || event.type === "failed";
      return toSse(event, meta);
    },
  };
  return encoder;
}

/** A contract that has a `meta` of its own keeps it. */
function toJson({ status, headers, contentType, body }: HttpOutcome, meta?: AnswerMeta) {
  const told =
    meta !== undefined && isObject(body) && !Object.hasOwn(body, "meta") ? { ...body, meta } : body;
  return {
    status,
    headers,
    contentType: `${contentType}; charset=utf-8`,
    body: JSON.stringify(told ?? null),
  };
}
