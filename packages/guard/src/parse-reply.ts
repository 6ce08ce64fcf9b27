import {
  FailureCode,
  type ProviderFailure,
  type ProviderReply,
  type ToolCall,
  type Usage,
} from "@sluice/contract";

/** Nobody knows how far the call of a defective provider got. */
export const defect: ProviderFailure = Object.freeze({
  ok: false,
  code: FailureCode.INTERNAL,
  dispatched: true,
});

/** No call has more tokens than this; a larger count would make sums and costs inexact. */
const maxTokens = 1_000_000_000;

/** A provider's answer in the form of the port; anything else is a defect. Usage in no such form is none. */
export function parseReply(reply: unknown): ProviderReply {
  if (typeof reply !== "object" || reply === null) return defect;
  const { ok, output, toolCalls, ...rest } = reply as Readonly<Record<string, unknown>>;
  const usage = isUsage(rest["usage"]) ? rest["usage"] : undefined;
  if (ok === true) {
    if (!isOutput(output)) return defect;
    if (toolCalls === undefined) return { ok, output, usage };
    const areCalls = Array.isArray(toolCalls) && toolCalls.every(isToolCall);
    return areCalls ? { ok, output, toolCalls, usage } : defect;
  }
  const { code, dispatched, httpStatus, retryAfterMs } = rest;
  if (ok !== false || !isFailureCode(code)) return defect;
  return {
    ok,
    code,
    dispatched: dispatched !== false,
    usage,
    httpStatus: isStatus(httpStatus) ? httpStatus : undefined,
    retryAfterMs: isDelay(retryAfterMs) ? retryAfterMs : undefined,
  };
}

export function isToolCall(call: unknown): call is ToolCall {
  if (typeof call !== "object" || call === null) return false;
  const { id, name, arguments: text } = call as Readonly<Record<string, unknown>>;
  return typeof id === "string" && typeof name === "string" && typeof text === "string";
}

function isStatus(status: unknown): status is number {
  return Number.isInteger(status) && (status as number) >= 100 && (status as number) <= 999;
}

function isDelay(delayMs: unknown): delayMs is number {
  return typeof delayMs === "number" && delayMs >= 0 && Number.isFinite(delayMs);
}

type Output = Extract<ProviderReply, { ok: true }>["output"];

function isOutput(output: unknown): output is Output {
  if (typeof output !== "object" || output === null) return false;
  const { kind, text } = output as Readonly<Record<string, unknown>>;
  return kind === "value" || (kind === "text" && typeof text === "string");
}

function isFailureCode(code: unknown): code is FailureCode {
  return typeof code === "string" && Object.hasOwn(FailureCode, code);
}

export function isUsage(usage: unknown): usage is Usage {
  if (typeof usage !== "object" || usage === null) return false;
  const { inputTokens, outputTokens } = usage as Readonly<Record<string, unknown>>;
  return isTokenCount(inputTokens) && isTokenCount(outputTokens);
}

function isTokenCount(count: unknown): boolean {
  return Number.isInteger(count) && (count as number) >= 0 && (count as number) <= maxTokens;
}
