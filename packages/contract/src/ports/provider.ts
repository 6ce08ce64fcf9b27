import type { AskableSchema } from "../askable-schema.ts";
import type { FailureCode } from "../failure.ts";
import type { ToolCall, ToolSpec, ToolStep } from "../tool.ts";
import type { Usage } from "../usage.ts";

/** What is asked of a model: the input and everything that is sent beside it. */
export interface ProviderAsk<In> {
  readonly input: In;
  /** The JSON Schema (OpenAI's strict subset) of the value asked for; undefined asks for plain text. */
  readonly schema: AskableSchema | undefined;
  /** The tools that the model may call. */
  readonly tools: readonly ToolSpec[];
  /** The turns of this request so far that called tools, oldest first. */
  readonly steps: readonly ToolStep[];
  /** Which version of the prompt the route asks for. */
  readonly promptTemplateVersion?: string | undefined;
  /** The route's model; undefined is the provider's own. */
  readonly model?: string | undefined;
}

/** One call, as the guard asks for it. */
export interface ProviderCall<In> extends ProviderAsk<In> {
  /** The most output tokens this call may use; undefined without a configured cap. */
  readonly maxOutputTokens: number | undefined;
  /** What the budget set aside for this call; undefined without a budget. */
  readonly reserved:
    | { readonly inputTokens: number; readonly outputTokens: number; readonly costNanoUsd: number }
    | undefined;
  /** Covers the body too: a provider stops reading when it aborts. */
  readonly signal: AbortSignal;
  /** One per logical call, the same over its retries. */
  readonly idempotencyKey: string;
  /** Reports measures of the application's own work. */
  measure(report: Readonly<Record<string, number | boolean | string>>): void;
}

/** A call that came to nothing. It holds codes and numbers, no text of the upstream. */
export interface ProviderFailure {
  readonly ok: false;
  readonly code: FailureCode;
  /** False only when it is certain that no byte of the request left the process. */
  readonly dispatched: boolean;
  readonly usage?: Usage | undefined;
  readonly httpStatus?: number | undefined;
  /** How long the upstream asked to wait. */
  readonly retryAfterMs?: number | undefined;
}

/** What came of one call. */
export type ProviderReply =
  | {
      readonly ok: true;
      /** Text is parsed as JSON where a schema was asked for; a value is taken as it is. Both are validated by the guard. */
      readonly output:
        | { readonly kind: "text"; readonly text: string }
        | { readonly kind: "value"; readonly value: unknown };
      /** The tools that the model asks for before it goes on; none is an answer that is complete. */
      readonly toolCalls?: readonly ToolCall[] | undefined;
      readonly usage?: Usage | undefined;
    }
  | ProviderFailure;

/**
 * What a stream of one call is made of. `finish` and `failed` are terminal; a stream that ends without
 * either was cut.
 */
export type ProviderEvent =
  | { readonly type: "text-delta"; readonly text: string }
  /** Whole: its arguments are complete. */
  | { readonly type: "tool-call"; readonly call: ToolCall }
  /** What the model says to itself: a sign of life, and no content of the answer. */
  | { readonly type: "reasoning-delta"; readonly text: string }
  /** The upstream is alive, with something that is no content: a role, a part of a tool call. */
  | { readonly type: "progress" }
  | { readonly type: "usage"; readonly usage: Usage }
  /** Complete as the upstream meant it. */
  | { readonly type: "finish" }
  | { readonly type: "failed"; readonly failure: ProviderFailure };

/** Why a provider can't be called at all. */
export interface ProviderNotReady {
  /** The option or variable to set. */
  readonly variable: string;
  readonly expected: string;
}

/**
 * One upstream. It does one call and reports; it never retries, waits, or decides. A thrown error is a
 * defect of the provider and becomes `INTERNAL`.
 */
export interface Provider<In> {
  readonly name: string;
  readonly model?: string | undefined;
  /** Undefined when it can be called. Asked on each request, so it must be cheap. */
  notReady?(): ProviderNotReady | undefined;
  /**
   * An upper bound of the prompt's tokens, in time linear in its length. A budget over tokens or money
   * needs it.
   */
  inputTokens?(ask: ProviderAsk<In>): number;
  generate(call: ProviderCall<In>): Promise<ProviderReply>;
  /**
   * The same call, as it flows: pulled one event at a time, so that a slow reader slows the upstream.
   * Leaving the loop ends the call. Without it the answer of `generate` is one piece.
   */
  stream?(call: ProviderCall<In>): AsyncIterable<ProviderEvent>;
}
