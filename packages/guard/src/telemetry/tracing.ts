import { createRequire } from "node:module";
import { attributeNames, genAi, type FailureCode, type Provider } from "@sluice/contract";
import type * as OpenTelemetryApi from "@opentelemetry/api";
import type { Attributes, Span } from "@opentelemetry/api";
import { stopCodes, type AttemptEnd } from "../attempt-end.ts";

type OpenTelemetry = typeof OpenTelemetryApi;

/** The API where the application has it installed; Sluice works the same without. */
export function loadOpenTelemetry(): OpenTelemetry | undefined {
  try {
    return createRequire(import.meta.url)("@opentelemetry/api") as OpenTelemetry;
  } catch {
    return undefined;
  }
}

export interface AttemptSpan {
  /** Runs the call inside the span, so that HTTP spans below it become its children. */
  run<T>(call: () => Promise<T>): Promise<T>;
  end(end: AttemptEnd): void;
}

export interface Tracing {
  startAttempt(
    provider: Provider<never>,
    /** The route's; undefined is the provider's own. */
    model: string | undefined,
    maxOutputTokens: number | undefined,
  ): AttemptSpan;
}

const noSpan: AttemptSpan = { run: (call) => call(), end: () => undefined };

/** One client span for each attempt, by OpenTelemetry's GenAI conventions; no message ever enters it. */
export function createTracing(feature: string, openTelemetry: OpenTelemetry | undefined): Tracing {
  if (openTelemetry === undefined) return { startAttempt: () => noSpan };
  const { context, trace, SpanKind } = openTelemetry;
  const tracer = trace.getTracer("@sluice/guard");
  return {
    startAttempt(provider, routed, maxOutputTokens) {
      try {
        const attributes: Attributes = {
          [genAi.operationName]: "chat",
          [genAi.providerName]: provider.name,
          [attributeNames.feature]: feature,
        };
        const model = routed ?? provider.model;
        if (model !== undefined) attributes[genAi.requestModel] = model;
        if (maxOutputTokens !== undefined) attributes[genAi.requestMaxTokens] = maxOutputTokens;
        const name = model === undefined ? "chat" : `chat ${model}`;
        const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes });
        return {
          run(call) {
            let running: ReturnType<typeof call> | undefined;
            try {
              context.with(trace.setSpan(context.active(), span), () => {
                running = call();
              });
            } catch {
              // A broken context manager must not keep the call from being made, nor make it twice.
            }
            return running ?? call();
          },
          end: (end) => endSpan(openTelemetry, span, end),
        };
      } catch {
        return noSpan;
      }
    },
  };
}

function endSpan({ SpanStatusCode }: OpenTelemetry, span: Span, end: AttemptEnd): void {
  try {
    const code = errorOf(end);
    if (code !== undefined) {
      span.setAttribute(genAi.errorType, code);
      span.setStatus({ code: SpanStatusCode.ERROR, message: code });
    }
    const usage = end.kind === "reply" ? end.reply.usage : undefined;
    if (usage !== undefined) {
      span.setAttribute(genAi.usageInputTokens, usage.inputTokens);
      span.setAttribute(genAi.usageOutputTokens, usage.outputTokens);
    }
    span.end();
  } catch {
    // An observer never changes an outcome.
  }
}

function errorOf(end: AttemptEnd): FailureCode | undefined {
  if (end.kind === "stopped") return stopCodes[end.cause.kind];
  return end.reply.ok ? undefined : end.reply.code;
}
