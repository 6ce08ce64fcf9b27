import type { z } from "zod";
import { ConfigError } from "./config-error.ts";

/** Values that the application reports of its own work. Text is possible only as a declared enum member. */
export type Measures = Readonly<Record<string, number | boolean | string>>;

/**
 * The declaration of measures: a strict object of numbers, booleans and enums. A field of free text
 * (`z.string()`) is a type error.
 */
export type MeasuresSchema = z.ZodObject<
  Readonly<Record<string, z.ZodType<number> | z.ZodType<boolean> | z.ZodEnum>>,
  z.core.$strict
>;

/** What one report may hold: any part of what was declared, and nothing where nothing was. */
export type MeasuresReport<M extends MeasuresSchema> = [M] extends [never]
  ? Readonly<Record<string, never>>
  : Partial<z.output<M>>;

const fieldTypes = new Set(["number", "int", "boolean", "enum"]);
const fieldName = /^[a-z][A-Za-z0-9_]{0,62}$/;
const maxFields = 32;
/** The longest text that the outcome event takes. */
export const maxMemberLength = 64;

/**
 * Refuses, at start, a declaration through which text could flow.
 * @throws ConfigError naming the field.
 */
export function assertMeasuresSchema(where: string, schema: MeasuresSchema): void {
  const def = schema._zod.def;
  if (def.type !== "object" || def.catchall?._zod.def.type !== "never") {
    throw new ConfigError({ option: where, got: def.type, expected: "a z.strictObject" });
  }
  if ((def.checks ?? []).length > 0) {
    throw new ConfigError({
      option: where,
      got: "a refined object",
      expected: "refinements on its fields only, because a report may hold any part of it",
    });
  }
  const fields = Object.entries<z.ZodType>(schema.shape);
  if (fields.length > maxFields) {
    throw new ConfigError({
      option: where,
      got: `${fields.length} measures`,
      expected: `at most ${maxFields}`,
    });
  }
  for (const [name, field] of fields) {
    const option = `${where}.${name}`;
    if (!fieldName.test(name)) {
      throw new ConfigError({
        option,
        got: "this name",
        expected: "a lower-case letter, then at most 62 letters, digits or _",
      });
    }
    const type = field._zod.def.type;
    if (!fieldTypes.has(type)) {
      throw new ConfigError({ option, got: type, expected: "a number, a boolean or an enum" });
    }
    const members = type === "enum" ? (field as z.ZodEnum).options : [];
    if (members.some((member) => String(member).length > maxMemberLength)) {
      throw new ConfigError({
        option,
        got: `a member of more than ${maxMemberLength} characters`,
        expected: "short words: an enum's member is a label of metrics",
      });
    }
  }
}

/**
 * Compiles a declaration: the parser gives the report back when every value is declared and of its type,
 * undefined otherwise.
 */
export function measuresParser(schema: MeasuresSchema): (report: unknown) => Measures | undefined {
  const part = schema.partial().strict();
  return (report) => {
    const parsed = part.safeParse(report);
    return parsed.success ? (parsed.data as Measures) : undefined;
  };
}
