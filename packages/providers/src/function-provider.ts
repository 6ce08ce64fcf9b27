import {
  FailureCode,
  failureCodes,
  functionSchema,
  parseOptions,
  type AskableSchema,
  type Measures,
  type MeasuresReport,
  type MeasuresSchema,
  type Provider,
  type ProviderCall,
  type Usage,
} from "@sluice/contract";
import { failureOfStatus, tokenUpperBound } from "@sluice/policy";
import { z } from "zod";
import { parseUsage } from "./parse-usage.ts";
import { ProviderError } from "./provider-error.ts";

/** What a guarded function is given besides its input. */
export interface FunctionContext<M extends MeasuresSchema = never> {
  /** Aborted when the caller goes away, the time is up, or the feature is shut. */
  readonly signal: AbortSignal;
  readonly maxOutputTokens: number | undefined;
  /** JSON Schema of the value that is asked for. */
  readonly schema: AskableSchema;
  readonly idempotencyKey: string;
  /** Reports measures that were declared; the guard checks them against its own declaration. */
  readonly measure: (report: MeasuresReport<M>) => void;
  /** Reports real token usage; without it the reservation stays charged. */
  readonly usage: (usage: Usage) => void;
}

const optionsSchema = z.strictObject({
  name: z.string().min(1).max(128).default("function"),
  model: z.string().min(1).max(128).optional(),
  inputTokens: functionSchema.optional(),
  measures: z
    .custom<object>((value) => value instanceof z.ZodObject, { error: "a z.strictObject" })
    .optional(),
});

export interface FunctionProviderOptions<In, M extends MeasuresSchema = never> {
  readonly name?: string;
  readonly model?: string;
  /** Upper bound of the prompt's tokens. Default: the bytes of the input, or of its JSON. */
  readonly inputTokens?: (input: In) => number;
  /** The measures that the guard declares, for the type of `context.measure`. */
  readonly measures?: M;
}

/**
 * Guards any async function. A returned string is an answer's text (JSON); anything else is its value.
 * A throw is `PROVIDER_UNAVAILABLE`, a {@link ProviderError} its own code, and an error with an HTTP
 * `status` that status's code.
 */
export function functionProvider<In, M extends MeasuresSchema = never>(
  fn: (input: In, context: FunctionContext<M>) => unknown,
  options: FunctionProviderOptions<In, M> = {},
): Provider<In> {
  parseOptions("functionProvider", functionSchema, fn);
  const { name, model } = parseOptions("functionProvider", optionsSchema, options);
  const inputTokens = options.inputTokens ?? boundOfInput;
  return {
    name,
    model,
    inputTokens: (input) => inputTokens(input),
    async generate(call: ProviderCall<In>) {
      let usage: Usage | undefined;
      try {
        const value = await fn(call.input, {
          signal: call.signal,
          maxOutputTokens: call.maxOutputTokens,
          schema: call.schema,
          idempotencyKey: call.idempotencyKey,
          measure: (report) => call.measure(report as Measures),
          usage: (reported) => {
            usage = parseUsage(reported ?? {});
          },
        });
        const output =
          typeof value === "string"
            ? ({ kind: "text", text: value } as const)
            : ({ kind: "value", value } as const);
        return { ok: true, output, usage };
      } catch (error) {
        return { ok: false, code: codeOf(error), dispatched: true, usage };
      }
    },
  };
}

function boundOfInput(input: unknown): number {
  const text = typeof input === "string" ? input : JSON.stringify(input);
  return tokenUpperBound(text ?? "");
}

function codeOf(error: unknown): FailureCode {
  if (ProviderError.isInstance(error) && isFailureCode(error.failure)) return error.failure;
  const status = (error as { readonly status?: unknown } | null | undefined)?.status;
  return typeof status === "number" && status >= 400 && status < 600
    ? failureOfStatus(status)
    : FailureCode.PROVIDER_UNAVAILABLE;
}

/** Another copy of the package, or JavaScript, may know other codes. */
function isFailureCode(code: unknown): boolean {
  return (failureCodes as readonly unknown[]).includes(code);
}
