import { FailureCode, type ProviderReply } from "@sluice/contract";
import type { z } from "zod";

type Output = Extract<ProviderReply, { ok: true }>["output"];

export type ParsedOutput<Ok> =
  | { readonly ok: true; readonly value: Ok }
  | { readonly ok: false; readonly code: FailureCode };

/** The contract's value in an answer; anything else is a failure, never a part of a value. */
export function parseOutput<Ok>(schema: z.ZodType<Ok>, output: Output): ParsedOutput<Ok> {
  let value: unknown;
  if (output.kind === "value") {
    value = output.value;
  } else {
    try {
      value = JSON.parse(unfence(output.text));
    } catch {
      return { ok: false, code: FailureCode.OUTPUT_NOT_JSON };
    }
  }
  const parsed = schema.safeParse(value);
  return parsed.success
    ? { ok: true, value: parsed.data }
    : { ok: false, code: FailureCode.OUTPUT_SCHEMA_INVALID };
}

const fence = "```";
/** What may follow the fence on its line. */
const language = /^[A-Za-z0-9_-]{0,32}$/;

/**
 * The inside of an answer that is one Markdown code fence as a whole. Linear in the text's length: a model
 * that falls into endless white space must not stop the process.
 */
function unfence(text: string): string {
  const trimmed = text.trim();
  const firstLineEnd = trimmed.indexOf("\n");
  if (!trimmed.startsWith(fence) || !trimmed.endsWith(fence) || firstLineEnd < 0) return text;
  if (!language.test(trimmed.slice(fence.length, firstLineEnd).trimEnd())) return text;
  return trimmed.slice(firstLineEnd + 1, -fence.length);
}
