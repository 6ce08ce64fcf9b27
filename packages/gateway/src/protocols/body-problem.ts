import type { InputFault, Problem } from "@sluice/guard";
import { isObject } from "./own-field.ts";
import { takesNobody } from "./rejection-sentence.ts";

/** A 400 for a body with this fault. Neither its path nor its rule holds a value of the body. */
export function bodyProblem(fault: InputFault): Problem {
  return {
    type: "about:blank",
    title: "The request body does not have the expected form",
    status: 400,
    errors: [fault],
  };
}

/** The first fault of a problem that has any. */
export function firstFault(problem: Problem): InputFault | undefined {
  const { errors } = problem;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  if (!isObject(first)) return undefined;
  const { path, rule } = first;
  return typeof path === "string" && typeof rule === "string" ? { path, rule } : undefined;
}

/** A problem in one sentence, for protocols that show a client no more. */
export function problemSentence(problem: Problem): string {
  // Of a gateway that drains.
  if (problem.status === 503) return takesNobody;
  const fault = firstFault(problem);
  return fault === undefined
    ? `${problem.title}.`
    : `${problem.title}: ${fault.path === "" ? "/" : fault.path}: ${fault.rule}.`;
}
