import { FailureCode, type Contract, type ProviderReply, type Reason } from "@sluice/contract";
import type { ForbiddenText } from "@sluice/policy";
import type { z } from "zod";
import type { AnswerText } from "./answer-text.ts";
import { stopCodes, type AttemptEnd } from "./attempt-end.ts";
import type { Events } from "./events.ts";
import { parseOutput, type ParsedOutput } from "./parse-output.ts";
import { isPermittedText, parseText, textOfValue } from "./text-contract.ts";

/** What an attempt came to, before the failure policy. */
export type Ran<Ok> =
  | { readonly kind: "succeeded"; readonly value: Ok }
  /** The model wants its tools first. */
  | { readonly kind: "tools" }
  | { readonly kind: "failed"; readonly code: FailureCode }
  | { readonly kind: "shut"; readonly reason: Reason };

export interface JudgeParts<Ok> {
  readonly contract: Pick<Contract<z.ZodType<Ok>>, "ok" | "askable" | "text">;
  readonly forbidden: ForbiddenText;
  readonly hasTools: boolean;
  readonly events: Events;
}

/** The contract's word on how a call ended. A turn that calls tools is no answer yet. */
export function judge<Ok>(parts: JudgeParts<Ok>, answer: AnswerText, ended: AttemptEnd): Ran<Ok> {
  if (ended.kind === "stopped") {
    const { cause } = ended;
    return cause.kind === "shut"
      ? { kind: "shut", reason: cause.reason }
      : { kind: "failed", code: stopCodes[cause.kind] };
  }
  const { reply } = ended;
  if (!reply.ok) return { kind: "failed", code: reply.code };
  if (reply.output.kind === "text" && answer.ofAttempt() === "") {
    // An answer that came whole is one piece; no reader's slowness makes it smaller.
    const room = answer.push(reply.output.text);
    if (room === "refused") return { kind: "failed", code: FailureCode.OUTPUT_SCHEMA_INVALID };
  }
  if (parts.hasTools && (reply.toolCalls?.length ?? 0) > 0) return { kind: "tools" };
  try {
    const parsed = parse(parts, answer, reply.output);
    return parsed.ok
      ? { kind: "succeeded", value: parsed.value }
      : { kind: "failed", code: parsed.code };
  } catch {
    // A refinement of the contract that throws or is asynchronous.
    parts.events.alertOnce("contract", {
      code: "DEPENDENCY_THREW",
      message: "the contract's ok member threw while parsing; its refinements must be synchronous",
    });
    return { kind: "failed", code: FailureCode.INTERNAL };
  }
}

function parse<Ok>(
  { contract, forbidden }: JudgeParts<Ok>,
  answer: AnswerText,
  output: Extract<ProviderReply, { ok: true }>["output"],
): ParsedOutput<Ok> {
  if (contract.text === undefined) return parseOutput(contract.ok, output);
  if (output.kind === "text") return parseText(contract, forbidden, answer.whole());
  const parsed = parseOutput(contract.ok, output);
  if (!parsed.ok) return parsed;
  const text = textOfValue(contract, parsed.value);
  // After other turns the value's text is the last part of the answer's.
  const isLast = answer.whole() !== "";
  const isRefused = isLast
    ? answer.push(text) === "refused"
    : !isPermittedText(contract.text, forbidden, text);
  if (isRefused) return { ok: false, code: FailureCode.OUTPUT_SCHEMA_INVALID };
  return isLast ? parseText(contract, forbidden, answer.whole()) : parsed;
}
