import {
  FailureCode,
  functionSchema,
  parseOptions,
  type AskableSchema,
  type Measures,
  type MeasuresReport,
  type MeasuresSchema,
  type Provider,
  type ProviderAsk,
  type ProviderCall,
  type ProviderEvent,
  type ProviderReply,
  type ToolSpec,
  type ToolStep,
  type Usage,
} from "@sluice/contract";
import { tokenUpperBound } from "@sluice/policy";
import { z } from "zod";
import { chunkReader, chunksOf, toProviderEvents } from "./answer-chunks.ts";
import { failureOfThrow } from "./failure-of-throw.ts";
import { parseUsage } from "./parse-usage.ts";
import { ProviderError } from "./provider-error.ts";
import { maxAnswerBytes } from "./read-body.ts";
import { toReply } from "./to-reply.ts";

/** What a guarded function is given besides its input. */
export interface FunctionContext<M extends MeasuresSchema = never> {
  /** Aborted when the caller goes away, the time is up, or the feature is shut. */
  readonly signal: AbortSignal;
  readonly maxOutputTokens: number | undefined;
  /** JSON Schema of the value that is asked for; undefined asks for plain text. */
  readonly schema: AskableSchema | undefined;
  /** The tools that the model may call. */
  readonly tools: readonly ToolSpec[];
  /** The turns of this request so far that called tools, oldest first. */
  readonly steps: readonly ToolStep[];
  /** The route's model; undefined is the function's own. */
  readonly model: string | undefined;
  readonly promptTemplateVersion: string | undefined;
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
  /**
   * Upper bound of the prompt's tokens, tools and steps included. Default: the bytes of the input, or of
   * its JSON, and of the JSON of tools and steps.
   */
  readonly inputTokens?: (input: In, ask: ProviderAsk<In>) => number;
  /** The measures that the guard declares, for the type of `context.measure`. */
  readonly measures?: M;
}

/**
 * Guards any async function. A returned string is an answer's text (JSON where a schema is asked for); an
 * async iterable, a ReadableStream or an iterator of strings, of UTF-8 bytes, of {@link ProviderEvent}s or
 * of the OpenAI client's chunks is an answer in parts; anything else is its value. A throw is
 * `PROVIDER_UNAVAILABLE`, a {@link ProviderError} its own code, and an error that holds an upstream's
 * answer (of the OpenAI client, the AI SDK or axios, or with an HTTP `status`) what that answer says.
 */
export function functionProvider<In, M extends MeasuresSchema = never>(
  fn: (input: In, context: FunctionContext<M>) => unknown,
  options: FunctionProviderOptions<In, M> = {},
): Provider<In> {
  parseOptions("functionProvider", functionSchema, fn);
  const { name, model } = parseOptions("functionProvider", optionsSchema, options);
  const inputTokens = options.inputTokens ?? boundOfInput;

  const run = (call: ProviderCall<In>, usage: (reported: Usage) => void): unknown =>
    fn(call.input, {
      signal: call.signal,
      maxOutputTokens: call.maxOutputTokens,
      schema: call.schema,
      tools: call.tools,
      steps: call.steps,
      model: call.model,
      promptTemplateVersion: call.promptTemplateVersion,
      idempotencyKey: call.idempotencyKey,
      measure: (report) => call.measure(report as Measures),
      usage,
    });

  return {
    name,
    model,
    inputTokens: (ask) => inputTokens(ask.input, ask),
    async generate(call) {
      let usage: Usage | undefined;
      try {
        const value = await run(call, (reported) => {
          usage = parseUsage(reported ?? {});
        });
        const chunks = chunksOf(value);
        if (chunks !== undefined)
          return withUsage(await collect(toProviderEvents(chunks, call.idempotencyKey)), usage);
        const output =
          typeof value === "string"
            ? ({ kind: "text", text: value } as const)
            : ({ kind: "value", value } as const);
        return { ok: true, output, usage };
      } catch (error) {
        return withUsage(failureOfThrow(error), usage);
      }
    },
    async *stream(call) {
      let usage: Usage | undefined;
      let yielding = false;
      try {
        const value = await run(call, (reported) => {
          usage = parseUsage(reported ?? {});
        });
        const reader = chunkReader(call.idempotencyKey);
        // One generator and no more: many streams wait at once, and each layer waits with them.
        for await (const chunk of chunksOf(value) ?? [textOfValue(value)]) {
          const events = reader.events(chunk);
          yielding = true;
          for (const event of events) {
            if (event.type === "finish" && usage !== undefined) yield { type: "usage", usage };
            yield event.type === "failed"
              ? { type: "failed", failure: withUsage(event.failure, usage) }
              : event;
            if (event.type === "finish" || event.type === "failed") return;
          }
          yielding = false;
        }
        yielding = true;
        for (const event of reader.end()) {
          if (event.type === "finish" && usage !== undefined) yield { type: "usage", usage };
          yield event.type === "failed"
            ? { type: "failed", failure: withUsage(event.failure, usage) }
            : event;
        }
      } catch (error) {
        // What its end throws where the consumer has left is nobody's any more.
        if (!yielding) yield { type: "failed", failure: withUsage(failureOfThrow(error), usage) };
      }
    },
  };
}

/** @throws ProviderError for a value that JSON has no form for. */
function textOfValue(value: unknown): string {
  if (typeof value === "string") return value;
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new ProviderError(FailureCode.OUTPUT_NOT_JSON, { cause });
  }
  if (text === undefined) throw new ProviderError(FailureCode.OUTPUT_NOT_JSON);
  return text;
}

/** @throws ProviderError when they are more than any answer. */
async function collect(flow: AsyncIterable<ProviderEvent>): Promise<ProviderReply> {
  const events: ProviderEvent[] = [];
  let chars = 0;
  for await (const event of flow) {
    if (event.type === "progress" || event.type === "reasoning-delta") continue;
    if (event.type === "text-delta") chars += event.text.length;
    if (event.type === "tool-call") chars += event.call.arguments.length;
    if (chars > maxAnswerBytes) throw new ProviderError(FailureCode.PROVIDER_UNAVAILABLE);
    events.push(event);
  }
  return toReply(events);
}

/** What was reported counts where the answer itself tells no usage. */
function withUsage<R extends ProviderReply>(reply: R, usage: Usage | undefined): R {
  return reply.usage === undefined && usage !== undefined ? { ...reply, usage } : reply;
}

function boundOfInput(input: unknown, { tools, steps }: ProviderAsk<unknown>): number {
  const text = typeof input === "string" ? input : JSON.stringify(input);
  let bound = tokenUpperBound(text ?? "");
  if (tools.length > 0) bound += tokenUpperBound(JSON.stringify(tools));
  if (steps.length > 0) bound += tokenUpperBound(JSON.stringify(steps));
  return bound;
}
