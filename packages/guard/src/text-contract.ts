import { FailureCode, toTextValue, type Contract, type TextRules } from "@sluice/contract";
import { startScan, type ForbiddenText } from "@sluice/policy";
import type { z } from "zod";
import type { ParsedOutput } from "./parse-output.ts";

/** The contract's value of an answer in plain text, all of its rules asked of the whole. */
export function parseText<Ok>(
  contract: Pick<Contract<z.ZodType<Ok>>, "ok" | "text">,
  forbidden: ForbiddenText,
  text: string,
): ParsedOutput<Ok> {
  const { text: rules, ok } = contract;
  const invalid: ParsedOutput<Ok> = { ok: false, code: FailureCode.OUTPUT_SCHEMA_INVALID };
  if (rules === undefined || !isPermittedText(rules, forbidden, text)) return invalid;
  const parsed = ok.safeParse(toTextValue(contract, rules.field, text));
  return parsed.success ? { ok: true, value: parsed.data } : invalid;
}

/** Whether a text keeps to the rules of a contract of plain text. */
export function isPermittedText(rules: TextRules, forbidden: ForbiddenText, text: string): boolean {
  return text.length <= rules.maxChars && startScan(forbidden).push(text) !== undefined;
}

/** A value as a stream's text: the field that the contract calls its text, else its JSON. */
export function textOfValue(contract: Pick<Contract, "text">, value: unknown): string {
  const field = contract.text?.field;
  if (field !== undefined && typeof value === "object" && value !== null) {
    const text = (value as Readonly<Record<string, unknown>>)[field];
    if (typeof text === "string") return text;
  }
  // JSON has no form for what is no value.
  const json: string | undefined = JSON.stringify(value);
  return json ?? "";
}

/** Whether a value, made by whomever, parses as an answer, its text rules included. */
export function isAnswer(
  contract: Pick<Contract, "ok" | "text">,
  forbidden: ForbiddenText,
  value: unknown,
): boolean {
  try {
    const parsed = contract.ok.safeParse(value);
    const { text: rules } = contract;
    if (!parsed.success || rules === undefined) return parsed.success;
    return isPermittedText(rules, forbidden, textOfValue(contract, parsed.data));
  } catch {
    // A refinement of the contract that throws or is asynchronous.
    return false;
  }
}
