import type { FailureCode } from "../failure.ts";
import type { Usage } from "../usage.ts";
import type { AskableSchema } from "../askable-schema.ts";

/** One call, as the guard asks for it. */
export interface ProviderCall<In> {
  readonly input: In;
  /** The JSON Schema (OpenAI's strict subset) of the value that is asked for. */
  readonly schema: AskableSchema;
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

/** What came of one call. */
export type ProviderReply =
  | {
      readonly ok: true;
      /** Text is parsed as JSON; a value is taken as it is. Both are validated by the guard. */
      readonly output:
        | { readonly kind: "text"; readonly text: string }
        | { readonly kind: "value"; readonly value: unknown };
      readonly usage?: Usage | undefined;
    }
  | {
      readonly ok: false;
      readonly code: FailureCode;
      /** False only when it is certain that no byte of the request left the process. */
      readonly dispatched: boolean;
      readonly usage?: Usage | undefined;
      readonly httpStatus?: number | undefined;
      /** How long the upstream asked to wait. */
      readonly retryAfterMs?: number | undefined;
    };

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
   * An upper bound of the prompt's tokens for this input, in time linear in its length. A budget over
   * tokens or money needs it.
   */
  inputTokens?(input: In, schema: AskableSchema): number;
  generate(call: ProviderCall<In>): Promise<ProviderReply>;
}
