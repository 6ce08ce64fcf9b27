import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ConfigError } from "./config-error.ts";
import {
  assertMeasuresSchema,
  maxMemberLength,
  measuresParser,
  type MeasuresReport,
  type MeasuresSchema,
} from "./measures.ts";
import { outcomeEventSchema } from "./telemetry/events.ts";

const schema = z.strictObject({
  slotsMade: z.int(),
  confidence: z.number().min(0).max(1),
  cacheHit: z.boolean(),
  tier: z.enum(["free", "gold"]),
}) satisfies MeasuresSchema;

const declare = (declared: MeasuresSchema): MeasuresSchema => declared;
const report = (told: MeasuresReport<typeof schema>): unknown => told;

function refusalOf(declared: unknown): ConfigError {
  try {
    assertMeasuresSchema("createGuard.measures", declared as MeasuresSchema);
  } catch (error) {
    if (ConfigError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("not refused");
}

describe("a declaration of measures", () => {
  it("takes numbers, booleans and enums", () => {
    expect(() => assertMeasuresSchema("x", schema)).not.toThrow();
    expect(() => assertMeasuresSchema("x", z.strictObject({}))).not.toThrow();
  });

  it.each([
    ["text", z.string()],
    ["formatted text", z.email()],
    ["a literal text", z.literal("x")],
    ["a literal number", z.literal(1)],
    ["text turned into a number", z.string().transform((text) => text.length)],
    ["a number turned into text", z.number().transform(String)],
    ["anything", z.any()],
    ["unknown", z.unknown()],
    ["an object", z.strictObject({ note: z.string() })],
    ["a list", z.array(z.number())],
    ["a record", z.record(z.string(), z.number())],
    ["a date", z.date()],
    ["a bigint", z.bigint()],
    ["a number that may be missing", z.number().optional()],
    ["a number that may be null", z.number().nullable()],
    ["a union with text", z.union([z.number(), z.string()])],
    ["a custom value", z.custom<number>()],
    ["a lazy number", z.lazy(() => z.number())],
  ])("refuses %s by the field's name", (_, field) => {
    const error = refusalOf(z.strictObject({ good: z.number(), note: field }));
    expect(error.option).toBe("createGuard.measures.note");
    expect(error.message).toContain("expected a number, a boolean or an enum");
  });

  it.each([
    ["an object that takes more", z.object({ a: z.number() })],
    ["a loose object", z.looseObject({ a: z.number() })],
    ["an object that catches the rest", z.object({}).catchall(z.string())],
    ["a record", z.record(z.string(), z.number())],
  ])("refuses %s", (_, declared) => {
    expect(refusalOf(declared).message).toContain("expected a z.strictObject");
  });

  it("refuses a rule over several fields, because a report may hold any part of them", () => {
    expect(refusalOf(schema.refine(() => true)).option).toBe("createGuard.measures");
  });

  it.each(["Upper", "with space", "with-dash", "_x", "1st", "", "a".repeat(64), "ümlaut"])(
    "refuses the name %j",
    (name) => {
      expect(refusalOf(z.strictObject({ [name]: z.number() })).message).toContain("lower-case");
    },
  );

  it("refuses more than 32 fields", () => {
    const fields = Array.from({ length: 33 }, (_, i) => [`m${i}`, z.number()] as const);
    expect(refusalOf(z.strictObject(Object.fromEntries(fields))).message).toContain("at most 32");
  });

  it("refuses an enum's member that the outcome event could not hold", () => {
    const declared = z.strictObject({ tier: z.enum(["ok", "x".repeat(maxMemberLength + 1)]) });
    expect(refusalOf(declared).option).toBe("createGuard.measures.tier");
    const longest = z.strictObject({ tier: z.enum(["x".repeat(maxMemberLength)]) });
    expect(() => assertMeasuresSchema("x", longest)).not.toThrow();
  });

  it("has a type that refuses text", () => {
    expect(declare(schema)).toBe(schema);
    // @ts-expect-error free text is no measure
    expect(declare(z.strictObject({ note: z.string() }))).toBeDefined();
    // @ts-expect-error neither is one literal text
    expect(declare(z.strictObject({ note: z.literal("x") }))).toBeDefined();
    // @ts-expect-error nor a number that became text
    expect(declare(z.strictObject({ note: z.number().transform(String) }))).toBeDefined();
  });
});

describe("a report of measures", () => {
  it("may hold any part of what was declared", () => {
    for (const part of [{}, { slotsMade: 3 }, { tier: "gold", cacheHit: false, slotsMade: 0 }]) {
      expect(measuresParser(schema)(part)).toEqual(part);
    }
  });

  it.each([
    ["an undeclared name", { other: 1 }],
    ["an undeclared name beside a declared one", { slotsMade: 1, other: 1 }],
    ["text for a number", { slotsMade: "3" }],
    ["text that is no member", { tier: "platinum" }],
    ["a number out of its bounds", { confidence: 2 }],
    ["half of an integer", { slotsMade: 1.5 }],
    ["NaN", { confidence: Number.NaN }],
    ["infinity", { confidence: Number.POSITIVE_INFINITY }],
    ["null", { cacheHit: null }],
    ["an object", { cacheHit: { note: "x" } }],
    ["no object", "slotsMade"],
    ["nothing", undefined],
    ["a list", [1]],
    ["a __proto__ of its own", JSON.parse('{"__proto__": {"slotsMade": 1}}')],
  ])("is refused whole for %s", (_, told) => {
    expect(measuresParser(schema)(told)).toBeUndefined();
  });

  it("I5 never lets through text that is no declared member, and always fits the outcome event", () => {
    const field = outcomeEventSchema.shape.measures;
    const anyReport = fc.dictionary(
      fc.constantFrom("slotsMade", "confidence", "cacheHit", "tier", "other"),
      fc.oneof(fc.string(), fc.double(), fc.integer(), fc.boolean(), fc.constant("gold")),
    );
    fc.assert(
      fc.property(anyReport, (told) => {
        const measures = measuresParser(schema)(told) ?? {};
        for (const value of Object.values(measures)) {
          expect(typeof value !== "string" || value === "gold").toBe(true);
        }
        expect(field.safeParse(measures).success).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("has a type that refuses what was not declared", () => {
    expect(report({ slotsMade: 1, tier: "gold" })).toBeDefined();
    // @ts-expect-error undeclared
    expect(report({ other: 1 })).toBeDefined();
    // @ts-expect-error text for a number
    expect(report({ slotsMade: "1" })).toBeDefined();
    // @ts-expect-error no member
    expect(report({ tier: "platinum" })).toBeDefined();
  });
});
