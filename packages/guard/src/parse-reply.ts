import { FailureCode, type ProviderReply, type Usage } from "@sluice/contract";

/** Nobody knows how far the call of a defective provider got. */
export const defect: ProviderReply = Object.freeze({
  ok: false,
  code: FailureCode.INTERNAL,
  dispatched: true,
});

/** No call has more tokens than this; a larger count would make sums and costs inexact. */
const maxTokens = 1_000_000_000;

/** A provider's answer in the form of the port; anything else is a defect. Usage in no such form is none. */
export function parseReply(reply: unknown): ProviderReply {
  if (typeof reply !== "object" || reply === null) return defect;
  const { ok, output, code, dispatched, usage: told } = reply as Readonly<Record<string, unknown>>;
  const usage = isUsage(told) ? told : undefined;
  if (ok === true) return isOutput(output) ? { ok, output, usage } : defect;
  if (ok !== false || !isFailureCode(code)) return defect;
  return { ok, code, dispatched: dispatched !== false, usage };
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

function isUsage(usage: unknown): usage is Usage {
  if (typeof usage !== "object" || usage === null) return false;
  const { inputTokens, outputTokens } = usage as Readonly<Record<string, unknown>>;
  return isTokenCount(inputTokens) && isTokenCount(outputTokens);
}

function isTokenCount(count: unknown): boolean {
  return Number.isInteger(count) && (count as number) >= 0 && (count as number) <= maxTokens;
}
