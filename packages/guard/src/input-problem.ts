import type { z } from "zod";
import type { Problem } from "./http-outcome.ts";

/** One thing wrong with an input: where, and by which rule. It never holds the value. */
export interface InputFault {
  /** JSON Pointer of names that the schema knows; `*` stands for a name that came from the input. */
  readonly path: string;
  readonly rule: string;
}

const maxFaults = 20;

/** A 400 for an input that does not parse. */
export function toInputProblem(schema: z.ZodType, error: z.ZodError): Problem {
  return {
    type: "about:blank",
    title: "The request body does not have the expected form",
    status: 400,
    errors: error.issues.slice(0, maxFaults).map(
      (issue): InputFault => ({
        path: knownPath(schema, issue.path),
        rule: issue.code === "invalid_type" ? `expected ${issue.expected}` : issue.code,
      }),
    ),
  };
}

/** A path may hold keys that a client chose, so each is shown only where the schema names it. */
function knownPath(schema: z.ZodType, path: readonly PropertyKey[]): string {
  let current: z.core.$ZodType | undefined = schema;
  let pointer = "";
  for (const key of path) {
    const def: z.core.$ZodTypeDef | undefined = unwrap(current)?._zod.def;
    if (typeof key === "number") {
      pointer += `/${key}`;
      current = def?.type === "array" ? (def as z.core.$ZodArrayDef).element : undefined;
      continue;
    }
    const shape: Readonly<Record<string, z.core.$ZodType>> =
      def?.type === "object" ? (def as z.core.$ZodObjectDef).shape : {};
    const name = String(key);
    const known = Object.hasOwn(shape, name);
    pointer += known ? `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}` : "/*";
    current = known ? shape[name] : undefined;
  }
  return pointer;
}

const wrappers = new Set(["optional", "nullable", "default", "prefault", "readonly", "catch"]);

function unwrap(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let current = schema;
  while (current !== undefined && wrappers.has(current._zod.def.type)) {
    current = (current._zod.def as z.core.$ZodOptionalDef).innerType;
  }
  return current;
}
