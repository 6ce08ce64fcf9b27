import type { Outcome, StreamEvent } from "@sluice/contract";
import type { HttpOutcome, Problem, StreamHead } from "@sluice/guard";

export const protocolNames = ["json", "ui-message-stream", "openai"] as const;
export type ProtocolName = (typeof protocolNames)[number];

/** An answer that is there as a whole, as it goes to the client. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly body: string;
}

/** What is told of an answer besides it, where the application wants front ends to know. */
export interface AnswerMeta {
  readonly path: "ai" | "stub" | "legacy" | "none";
  readonly decision: string;
  readonly selected_provider?: string;
  readonly fallback_used: boolean;
  readonly prompt_template_version?: string;
}

/** One request of a protocol, read. */
export interface ProtocolRequest {
  /** For the application's schema: `{ messages: [{ role, content }] }`, or with JSON the body as it is. */
  readonly input: unknown;
  /** Whether the client asked for the answer as it flows. */
  readonly streams: boolean;
  /** Writes the answer; one for each request, since it says again what the request said. */
  readonly encoder: AnswerEncoder;
}

/** How one request's answer is written. */
export interface AnswerEncoder {
  /** The answer, or the refusal, as a whole. */
  whole(
    outcome: Outcome<unknown, unknown, unknown>,
    http: HttpOutcome,
    meta: AnswerMeta | undefined,
  ): WireAnswer;
  /** Problem details of a request that was not decided on, in the protocol's own form. */
  problem(problem: Problem, headers?: Readonly<Record<string, string>>): WireAnswer;
  readonly streamType: string;
  readonly streamHeaders: Readonly<Record<string, string>>;
  /** What a stream begins with, once its first content is there. */
  begin(head: StreamHead<unknown, unknown, unknown>, meta: AnswerMeta | undefined): string;
  /** One event, `""` where the protocol has no word for it. What a terminal event makes ends the stream. */
  event(event: StreamEvent<unknown, unknown, unknown>, meta: AnswerMeta | undefined): string;
}

/** What encoders need of the world. */
export interface ProtocolContext {
  /** Wall clock, milliseconds since the epoch. */
  readonly wallMs: () => number;
  /** Plain text of a value under the contract: its text field, else its JSON. */
  readonly toText: (value: unknown) => string;
}

/** A wire format of chats. */
export interface Protocol {
  readonly name: ProtocolName;
  /** Whether a body is one of this protocol's, for negotiation. */
  recognizes(body: unknown): boolean;
  /**
   * Reads a body. A problem names the path of the first fault and holds no value.
   * @param accept the request's `Accept`
   */
  read(
    body: unknown,
    accept: string | undefined,
    context: ProtocolContext,
  ): ProtocolRequest | { readonly problem: Problem; readonly encoder: AnswerEncoder };
}
