import { Reason, type Outcome } from "@sluice/contract";
import type { Problem } from "@sluice/guard";
import { firstFault, problemSentence } from "./body-problem.ts";
import { failureSentences } from "./failure-sentences.ts";
import { rejectionSentence, tryAgain } from "./rejection-sentence.ts";

/** Source: https://platform.openai.com/docs/guides/error-codes */
export interface OpenAiError {
  readonly message: string;
  readonly type: "invalid_request_error" | "requests" | "server_error";
  readonly param: string | null;
  readonly code: string | null;
}

const unavailable = "service_unavailable";

/** An outcome that is no answer. */
export function openAiFailure(
  outcome: Outcome<unknown, unknown, unknown>,
  retryAfter: string | undefined,
): OpenAiError {
  if (outcome.status === "REJECTED") {
    const { reason } = outcome;
    const message = rejectionSentence(reason, retryAfter);
    return reason === Reason.STORE_UNAVAILABLE
      ? { message, type: "server_error", param: null, code: unavailable }
      : { message, type: "requests", param: null, code: "rate_limit_exceeded" };
  }
  const code = outcome.status === "FAILED" ? outcome.failure.code : "INTERNAL";
  return { message: failureSentences[code], type: "server_error", param: null, code };
}

/** A request that was not decided on. */
export function openAiProblem(problem: Problem, retryAfter: string | undefined): OpenAiError {
  const message = `${problemSentence(problem)}${tryAgain(retryAfter)}`;
  if (problem.status >= 500) {
    const code = problem.status === 503 ? unavailable : null;
    return { message, type: "server_error", param: null, code };
  }
  const path = firstFault(problem)?.path;
  const param = path === undefined || path === "" ? null : toParam(path);
  return { message, type: "invalid_request_error", param, code: null };
}

/** `/messages/0/role` as OpenAI writes it: `messages[0].role`. */
function toParam(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map((name, index) => {
      if (/^\d+$/.test(name)) return `[${name}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join("");
}
