import type { z } from "zod";
import type { Problem } from "./http-outcome.ts";
import { toInputProblem } from "./input-problem.ts";

/** A request's body under the application's schema, or problem details that hold no value of it. */
export function readInput<In>(
  schema: z.ZodType<In>,
  body: unknown,
): { readonly input: In } | { readonly problem: Problem } {
  try {
    const parsed = schema.safeParse(body);
    return parsed.success
      ? { input: parsed.data }
      : { problem: toInputProblem(schema, parsed.error) };
  } catch (error) {
    // JSON can nest deeper than a recursive schema's parse has stack for.
    if (!(error instanceof RangeError)) throw error;
    const title = "The request body is nested too deeply";
    return { problem: { type: "about:blank", title, status: 400 } };
  }
}
