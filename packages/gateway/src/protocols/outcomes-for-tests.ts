import type { FailureCode, Outcome, Reason, Usage } from "@sluice/contract";
import { toHttpOutcome } from "@sluice/guard";
import type { AnswerEncoder, Protocol, ProtocolContext, WireAnswer } from "../protocol.ts";

type AnyOutcome = Outcome<unknown, unknown, unknown>;

const base = (usage?: Usage): Pick<AnyOutcome, "decision" | "record"> => ({
  decision: { id: "d1", feature: "chat_gateway", effect: "allow", trail: [], closed: false },
  record: {
    requestId: "r",
    fallbackUsed: false,
    latencyMs: 1,
    attempts: [],
    skipped: [],
    tools: [],
    measures: {},
    ...(usage === undefined ? {} : { usage }),
  },
});

export const usage: Usage = { inputTokens: 3, outputTokens: 4 };

export const succeeded = (text: string): AnyOutcome => ({
  ...base(usage),
  status: "SUCCEEDED",
  path: "ai",
  value: { status: "OK", text },
});

export const stubbed = (text: string): AnyOutcome => ({
  ...base(),
  status: "STUBBED",
  path: "stub",
  reason: "FLAG_OFF",
  value: { status: "OK", text },
});

export const failed = (code: FailureCode = "PROVIDER_UNAVAILABLE"): AnyOutcome => ({
  ...base(),
  status: "FAILED",
  path: "ai",
  value: { status: "FAILED", secret: "s3cret" },
  failure: { code },
});

/** The failure policy sent it to the safe path. */
export const fellBack = (text: string): AnyOutcome => {
  const { decision, record } = base();
  const failure = { code: "PROVIDER_TIMEOUT" } as const;
  const value = { status: "OK", text };
  return {
    decision,
    record: { ...record, fallbackUsed: true },
    status: "FAILED",
    path: "stub",
    value,
    failure,
  };
};

export const rejected = (reason: Reason, retryAfterMs: number): AnyOutcome => ({
  ...base(),
  status: "REJECTED",
  path: "none",
  reason,
  retryAfterMs,
});

export const context: ProtocolContext = {
  wallMs: () => 1_700_000_000_999,
  toText: (value) => (value as { readonly text: string }).text,
};

/** The encoder of a request with this body. */
export const encoderOf = (protocol: Protocol, body: unknown, accept?: string): AnswerEncoder =>
  protocol.read(body, accept, context).encoder;

/** The answer to a body that is refused. */
export function problemOf(protocol: Protocol, body: unknown): WireAnswer {
  const read = protocol.read(body, undefined, context);
  if (!("problem" in read)) throw new Error("the body was taken");
  return read.encoder.problem(read.problem);
}

export const wholeOf = (encoder: AnswerEncoder, outcome: AnyOutcome): WireAnswer =>
  encoder.whole(outcome, toHttpOutcome(outcome), undefined);

type Events = readonly Parameters<AnswerEncoder["event"]>[0][];

/** A stream of these events, as it goes to the client. */
export function streamOf(encoder: AnswerEncoder, events: Events): WireAnswer {
  const { decision } = succeeded("");
  return {
    status: 200,
    headers: encoder.streamHeaders,
    contentType: encoder.streamType,
    body:
      encoder.begin({ decision }, undefined) +
      events.map((event) => encoder.event(event, undefined)).join(""),
  };
}

/** The answer as `fetch` gives it, in pieces of so many bytes. */
export function toResponse(answer: WireAnswer, pieceBytes = 1024): Response {
  const bytes = new TextEncoder().encode(answer.body);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        controller.enqueue(bytes.slice(at, at + pieceBytes));
      }
      controller.close();
    },
  });
  const headers = { ...answer.headers, "content-type": answer.contentType };
  return new Response(body, { status: answer.status, headers });
}

/** The data of each event on the wire. */
export const dataOf = (answer: WireAnswer): unknown[] =>
  answer.body
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => {
      const data = event.slice("data: ".length);
      return data === "[DONE]" ? data : (JSON.parse(data) as unknown);
    });
