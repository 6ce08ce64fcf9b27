import { z } from "zod";
import { ConfigError } from "./config-error.ts";

/** A JSON Schema within OpenAI's strict subset: every object closed, every property required. */
export type AskableSchema = Readonly<Record<string, unknown>>;

/** zod types that OpenAI's strict mode has a form for. */
const askableTypes = new Set([
  "object",
  "array",
  "string",
  "number",
  "int",
  "boolean",
  "null",
  "literal",
  "enum",
  "union",
  "nullable",
  "readonly",
  "lazy",
]);

/** What to write instead, for the types people reach for first. */
const insteadOf: Readonly<Record<string, string>> = {
  optional: ".nullable() instead of .optional(): strict mode requires every property",
  default: "no default: strict mode requires every property",
  prefault: "no default: strict mode requires every property",
  record: "an array of key/value objects instead of a record",
  map: "an array of key/value objects instead of a map",
  tuple: "an object or an array instead of a tuple",
  transform: "no transform: what leaves the guard must parse again",
  pipe: "no pipe or transform: what leaves the guard must parse again",
  catch: "no .catch(): a value that does not parse must fail",
  date: "an ISO date string (z.iso.datetime()) instead of a date",
  any: "a typed value",
  unknown: "a typed value",
  intersection: "one object instead of an intersection",
};

/**
 * Keywords that OpenAI's strict mode takes; the others are left out of what is sent, and the contract
 * still checks them on what comes back.
 * Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 */
const sentKeywords = new Set([
  "type",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "anyOf",
  "enum",
  "const",
  "description",
  "$ref",
  "$defs",
  "pattern",
  "format",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minItems",
  "maxItems",
]);

const sentFormats = new Set([
  "date-time",
  "time",
  "date",
  "duration",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "uuid",
]);

/**
 * The schema that a model is asked to fill.
 * @throws ConfigError naming the path that strict mode has no form for.
 */
export function toAskableSchema(where: string, schema: z.ZodObject): AskableSchema {
  const json = z.toJSONSchema(schema, {
    target: "draft-2020-12",
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, path }) => {
      const type = zodSchema._zod.def.type;
      if (!askableTypes.has(type)) throw notAskable(where, path, `a zod ${type}`, insteadOf[type]);
      if (type === "literal" && !isJsonLiteral(zodSchema as z.ZodLiteral)) {
        throw notAskable(where, path, "a literal that JSON has no form for", undefined);
      }
    },
  });
  return inlineRoot(strict(json) as AskableSchema);
}

function isJsonLiteral(literal: z.ZodLiteral): boolean {
  return literal.def.values.every((value) => value !== undefined && typeof value !== "bigint");
}

/** A schema with an id of its own becomes a root `$ref`, which strict mode refuses. */
function inlineRoot(json: AskableSchema): AskableSchema {
  const { $ref, ...rest } = json;
  if (typeof $ref !== "string") return json;
  const definitions = (json["$defs"] ?? {}) as Readonly<Record<string, AskableSchema>>;
  return { ...definitions[$ref.slice("#/$defs/".length)], ...rest };
}

function notAskable(
  where: string,
  path: readonly (string | number)[],
  got: string,
  instead: string | undefined,
): ConfigError {
  return new ConfigError({
    option: where + schemaPath(path),
    got,
    expected: instead ?? "a type that a model can be asked for in OpenAI's strict mode",
  });
}

/** `properties.slots.items.properties.title` of JSON Schema as `.slots[].title` of the value. */
function schemaPath(path: readonly (string | number)[]): string {
  let names = "";
  for (let i = 0; i < path.length; i += 1) {
    const part = path[i];
    if (part === "properties") {
      i += 1;
      names += `.${path[i]}`;
    } else if (part === "items") {
      names += "[]";
    }
  }
  return names;
}

function strict(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(strict);
  if (typeof node !== "object" || node === null) return node;
  const source = node as Record<string, unknown>;
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(source)) {
    if (key === "properties" || key === "$defs") {
      const children = Object.entries(value as Record<string, unknown>);
      out[key] = Object.fromEntries(children.map(([name, child]) => [name, strict(child)]));
    } else if (key === "oneOf") {
      out["anyOf"] = strict(value);
    } else if (key === "enum" || key === "const" || key === "required") {
      out[key] = value;
    } else if (key === "format") {
      if (sentFormats.has(String(value))) out[key] = value;
    } else if (sentKeywords.has(key)) {
      out[key] = strict(value);
    }
  }
  if (out["type"] === "object") {
    out["additionalProperties"] = false;
    out["required"] = Object.keys((out["properties"] as object | undefined) ?? {});
  }
  return out;
}
