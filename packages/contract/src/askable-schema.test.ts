import { describe, expect, it } from "vitest";
import { z } from "zod";
import { toAskableSchema } from "./askable-schema.ts";
import { ConfigError } from "./config-error.ts";

function refusalOf(schema: z.ZodObject): ConfigError {
  try {
    toAskableSchema("contract.ok", schema);
  } catch (error) {
    if (ConfigError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("not refused");
}

const text = z.string();

/** What strict mode has no form for, each under the property `a`. */
const refused: readonly (readonly [type: string, schema: z.ZodType])[] = [
  ["optional", text.optional()],
  ["optional", z.exactOptional(text)],
  ["optional", z.nonoptional(text.optional())],
  ["default", text.default("x")],
  ["prefault", text.prefault("x")],
  ["record", z.record(text, text)],
  ["record", z.json()],
  ["map", z.map(text, text)],
  ["set", z.set(text)],
  ["tuple", z.tuple([text])],
  ["pipe", text.transform((value) => value.length)],
  ["pipe", z.preprocess((value) => value, text)],
  ["pipe", text.pipe(text)],
  ["pipe", z.codec(text, z.number(), { decode: Number, encode: String })],
  ["pipe", z.stringbool()],
  ["catch", text.catch("x")],
  ["date", z.date()],
  ["any", z.any()],
  ["unknown", z.unknown()],
  ["never", z.never()],
  ["undefined", z.undefined()],
  ["void", z.void()],
  ["symbol", z.symbol()],
  ["bigint", z.bigint()],
  ["nan", z.nan()],
  ["custom", z.custom<string>()],
  ["custom", z.instanceof(Date)],
  ["file", z.file()],
  ["promise", z.promise(text)],
  ["intersection", z.intersection(z.object({ b: text }), z.object({ c: text }))],
  ["template_literal", z.templateLiteral(["a", z.number()])],
];

describe("a schema that a model can't be asked for", () => {
  it.each(refused)("is refused for a zod %s, by its path", (type, schema) => {
    const error = refusalOf(z.object({ a: schema }));
    expect(error.option).toBe("contract.ok.a");
    expect(error.message).toContain(`contract.ok.a: got a zod ${type}, expected `);
    expect(error.message).not.toContain("\n");
  });

  it.each(refused)("is refused for a zod %s deep inside, by its path", (_, schema) => {
    const deep = z.object({
      slots: z.array(z.object({ detail: z.object({ title: schema }).nullable() })),
    });
    expect(refusalOf(deep).option).toBe("contract.ok.slots[].detail.title");
  });

  it("is refused inside a union", () => {
    const schema = z.object({ a: z.union([text, z.object({ b: text.optional() })]) });
    expect(refusalOf(schema).option).toBe("contract.ok.a.b");
  });

  it("is refused where one faulty schema is used twice", () => {
    const part = z.object({ t: text.optional() });
    expect(refusalOf(z.object({ a: part, b: part })).option).toMatch(/^contract\.ok\.[ab]\.t$/);
  });

  it("is refused behind a lazy schema", () => {
    const schema = z.object({ a: z.lazy(() => z.object({ b: text.optional() })) });
    expect(refusalOf(schema).option).toBe("contract.ok.a.b");
  });

  it("is refused for a property that has a keyword's name", () => {
    const schema = z.object({ properties: z.object({ items: z.array(text.optional()) }) });
    expect(refusalOf(schema).option).toBe("contract.ok.properties.items[]");
  });

  it("is refused for unknown properties that it would take", () => {
    expect(refusalOf(z.looseObject({ a: text })).option).toBe("contract.ok");
  });

  it.each([
    ["a bigint", z.literal(1n)],
    ["undefined", z.literal([undefined, "x"])],
  ])("is refused for a literal of %s, which JSON has no form for", (_, schema) => {
    expect(refusalOf(z.object({ a: schema })).option).toBe("contract.ok.a");
  });

  it("says what to write instead", () => {
    expect(refusalOf(z.object({ a: text.optional() })).message).toBe(
      "contract.ok.a: got a zod optional, expected .nullable() instead of .optional(): strict mode requires every property",
    );
  });
});

describe("a schema that a model can be asked for", () => {
  it("becomes closed objects with every property required, at every depth", () => {
    const schema = z.object({
      status: z.literal("OK"),
      slots: z.array(z.object({ title: text, note: text.nullable() })),
      kind: z.discriminatedUnion("type", [
        z.object({ type: z.literal("a") }),
        z.object({ type: z.literal("b"), size: z.number() }),
      ]),
    });
    expect(toAskableSchema("x", schema)).toEqual({
      type: "object",
      additionalProperties: false,
      required: ["status", "slots", "kind"],
      properties: {
        status: { type: "string", const: "OK" },
        slots: {
          type: "array",
          items: {
            type: "object",
            additionalProperties: false,
            required: ["title", "note"],
            properties: { title: { type: "string" }, note: { type: ["string", "null"] } },
          },
        },
        kind: {
          anyOf: [
            {
              type: "object",
              additionalProperties: false,
              required: ["type"],
              properties: { type: { type: "string", const: "a" } },
            },
            {
              type: "object",
              additionalProperties: false,
              required: ["type", "size"],
              properties: { type: { type: "string", const: "b" }, size: { type: "number" } },
            },
          ],
        },
      },
    });
  });

  it("keeps the keywords that strict mode takes and leaves out the others", () => {
    const schema = z.object({
      length: text.min(3).max(5),
      two: text.regex(/a/).regex(/b/),
      url: z.url(),
      day: z.iso.date(),
      code: text.regex(/^[A-Z]+$/),
      count: z.int().min(1).max(4),
      step: z.number().multipleOf(2),
      list: z.array(text).min(1).max(3),
      told: text.describe("for the model").meta({ title: "T", examples: ["x"], deprecated: true }),
    });
    const { properties } = toAskableSchema("x", schema) as {
      readonly properties: Readonly<Record<string, object>>;
    };
    expect(properties).toMatchObject({
      length: { type: "string" },
      two: { type: "string" },
      url: { type: "string" },
      code: { type: "string", pattern: "^[A-Z]+$" },
      count: { type: "integer", minimum: 1, maximum: 4 },
      step: { type: "number", multipleOf: 2 },
      list: { type: "array", items: { type: "string" }, minItems: 1, maxItems: 3 },
      told: { type: "string", description: "for the model" },
    });
    expect(properties["day"]).toHaveProperty("format", "date");
    expect(properties["length"]).toEqual({ type: "string" });
    expect(properties["two"]).toEqual({ type: "string" });
    expect(properties["url"]).toEqual({ type: "string" });
    expect(properties["told"]).toEqual({ type: "string", description: "for the model" });
  });

  it("keeps properties that have a keyword's name", () => {
    const names = ["type", "enum", "const", "required", "properties", "minLength", "$ref"];
    const schema = z.object(Object.fromEntries(names.map((name) => [name, z.boolean()])));
    const asked = toAskableSchema("x", schema);
    expect(asked["required"]).toEqual(names);
    expect(asked["properties"]).toEqual(
      Object.fromEntries(names.map((name) => [name, { type: "boolean" }])),
    );
  });

  it("may refer to itself", () => {
    const node = z.object({
      title: text,
      get children() {
        return z.array(node);
      },
    });
    expect(toAskableSchema("x", node)).toEqual({
      type: "object",
      additionalProperties: false,
      required: ["title", "children"],
      properties: {
        title: { type: "string" },
        children: { type: "array", items: { $ref: "#" } },
      },
    });
  });

  it("is an object at its root, also where it has an id of its own", () => {
    const registered = z.object({ a: text }).meta({ id: "AskableRoot" });
    expect(toAskableSchema("x", registered)).toMatchObject({
      type: "object",
      additionalProperties: false,
      required: ["a"],
      properties: { a: { type: "string" } },
    });
    expect(toAskableSchema("x", registered)).not.toHaveProperty("$ref");
  });

  it("closes what it only refers to", () => {
    const part = z.object({ t: text }).meta({ id: "AskablePart" });
    expect(toAskableSchema("x", z.object({ a: part, b: part }))).toMatchObject({
      properties: { a: { $ref: "#/$defs/AskablePart" }, b: { $ref: "#/$defs/AskablePart" } },
      $defs: { AskablePart: { additionalProperties: false, required: ["t"] } },
    });
  });

  it("may brand, refine and freeze its values", () => {
    const schema = z.object({
      id: text.brand("Id"),
      list: z.array(text).readonly(),
      even: z.int().refine((n) => n % 2 === 0),
    });
    expect(toAskableSchema("x", schema)["required"]).toEqual(["id", "list", "even"]);
  });
});
