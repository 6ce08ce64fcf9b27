import { FailureCode, type ProviderReply } from "@sluice/contract";
import type { z } from "zod";

type Output = Extract<ProviderReply, { ok: true }>["output"];

export type ParsedOutput<Ok> =
  | { readonly ok: true; readonly value: Ok }
  | { readonly ok: false; readonly code: FailureCode };

/** A whole answer wrapped in one Markdown code fence. */
const fence = /^\s*```[A-Za-z0-9_-]*[ \t]*\r?\n([\s\S]*?)\r?\n?[ \t]*```\s*$/;

/** The contract's value in an answer; anything else is a failure, never a part of a value. */
export function parseOutput<Ok>(schema: z.ZodType<Ok>, output: Output): ParsedOutput<Ok> {
  let value: unknown;
  if (output.kind === "value") {
    value = output.value;
  } else {
    try {
      value = JSON.parse(fence.exec(output.text)?.[1] ?? output.text);
    } catch {
      return { ok: false, code: FailureCode.OUTPUT_NOT_JSON };
    }
  }
  const parsed = schema.safeParse(value);
  return parsed.success
    ? { ok: true, value: parsed.data }
    : { ok: false, code: FailureCode.OUTPUT_SCHEMA_INVALID };
}
