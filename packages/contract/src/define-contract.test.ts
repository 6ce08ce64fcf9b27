import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { defineContract, toTextValue } from "./define-contract.ts";

const ok = z.object({ status: z.literal("OK"), reply: z.string() });
const failed = z.object({ status: z.literal("FAILED"), code: z.string() });
const stub = z.object({ status: z.literal("STUB"), reply: z.string() });

/** Configuration comes from JavaScript too, where no type holds. */
function refusalOf(members: unknown): ConfigError {
  try {
    defineContract(members as Parameters<typeof defineContract>[0]);
  } catch (error) {
    if (ConfigError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("not refused");
}

describe("a contract", () => {
  it("holds its members, and asks the model for the object member only", () => {
    const contract = defineContract({ ok, failed, stub });
    expect(contract.ok).toBe(ok);
    expect(contract.failed).toBe(failed);
    expect(contract.stub).toBe(stub);
    expect(contract.askable?.["required"]).toEqual(["status", "reply"]);
    expect(JSON.stringify(contract.askable)).not.toContain("FAILED");
  });

  it("has the object member as its stub's where none is given", () => {
    expect(defineContract({ ok, failed }).stub).toBe(ok);
  });

  it("may give a member several statuses", () => {
    const several = z.object({ status: z.literal(["OK", "PARTIAL"]) });
    expect(defineContract({ ok: several, failed }).ok).toBe(several);
  });

  it("may have a FAILED or STUB member that no model could be asked for", () => {
    const loose = z.object({ status: z.literal("FAILED"), code: z.string().optional() });
    expect(defineContract({ ok, failed: loose, stub }).failed).toBe(loose);
  });

  it.each([
    ["without a FAILED member", { ok }, "defineContract.failed", "nothing"],
    ["without an object member", { failed }, "defineContract.ok", "nothing"],
    ["that is nothing", undefined, "defineContract", "nothing"],
    ["that is null", null, "defineContract", "null"],
    ["with an unknown member", { ok, failed, okay: ok }, "defineContract.okay", "unknown option"],
    ["whose member is no schema", { ok: {}, failed }, "defineContract.ok", "an object"],
    [
      "whose member is a root union",
      { ok: z.union([ok, stub]), failed },
      "defineContract.ok",
      "a zod union",
    ],
    [
      "whose member is optional",
      { ok: ok.optional(), failed },
      "defineContract.ok",
      "zod optional",
    ],
    ["whose member is text", { ok, failed: z.string() }, "defineContract.failed", "a zod string"],
    [
      "whose member has no status",
      { ok: z.object({ reply: z.string() }), failed },
      "defineContract.ok.status",
      "nothing",
    ],
    [
      "whose status is any text",
      { ok: z.object({ status: z.string() }), failed },
      "defineContract.ok.status",
      "a zod string",
    ],
    [
      "whose status is a number",
      { ok, failed: z.object({ status: z.literal(1) }) },
      "defineContract.failed.status",
      "a zod literal",
    ],
    [
      "whose status is optional",
      { ok, failed: z.object({ status: z.literal("FAILED").optional() }) },
      "defineContract.failed.status",
      "a zod optional",
    ],
    [
      "whose OK and FAILED share a status",
      { ok, failed: z.object({ status: z.literal("OK") }) },
      "defineContract.failed.status",
      '"OK", which ok has too',
    ],
    [
      "whose stub shares one of several statuses",
      { ok, failed, stub: z.object({ status: z.literal(["STUB", "FAILED"]) }) },
      "defineContract.stub.status",
      '"FAILED", which failed has too',
    ],
    [
      "whose object member can't be asked for",
      { ok: ok.extend({ note: z.string().optional() }), failed },
      "defineContract.ok.note",
      "a zod optional",
    ],
  ])("%s is refused by its path", (_, members, option, got) => {
    const error = refusalOf(members);
    expect(error.option).toBe(option);
    expect(error.message).toContain(`${option}: got `);
    expect(error.message).toContain(got);
    expect(error.message).not.toContain("\n");
  });

  it("has types that refuse what it refuses", () => {
    const text = z.object({ status: z.string() });
    // @ts-expect-error a contract has a FAILED member
    expect(() => defineContract({ ok })).toThrow(ConfigError);
    // @ts-expect-error a status is a literal
    expect(() => defineContract({ ok: text, failed })).toThrow(ConfigError);
    // @ts-expect-error a member is an object
    expect(() => defineContract({ ok: z.union([ok, stub]), failed })).toThrow(ConfigError);
    // @ts-expect-error there is no other member
    expect(() => defineContract({ ok, failed, other: ok })).toThrow(ConfigError);
  });
});

const withOk = (shape: z.core.$ZodLooseShape, field = "reply") => ({
  ok: z.object({ status: z.literal("OK"), ...shape }),
  failed,
  text: { field },
});
const withRules = (rules: unknown) => ({ ok, failed, text: rules });

describe("a contract of plain text", () => {
  const text = { field: "reply" } as const;

  it("has its rules with their defaults, and asks the model for no schema", () => {
    const contract = defineContract({ ok, failed, stub, text });
    expect(contract.text).toEqual({ field: "reply", maxChars: 65_536, forbidden: [] });
    expect(contract.askable).toBeUndefined();
    const rules = { field: "reply", maxChars: 1, forbidden: ["secret", "\n"] };
    expect(defineContract({ ok, failed, text: rules }).text).toEqual(rules);
  });

  it("is not what a contract without `text` is", () => {
    expect(defineContract({ ok, failed }).text).toBeUndefined();
    expect(defineContract({ ok, failed, text: undefined } as never).askable).toBeDefined();
  });

  it("may bound its field, which need not be one that a model could be asked for", () => {
    const bounded = z.object({ status: z.literal("OK"), reply: z.string().trim().max(10) });
    expect(defineContract({ ok: bounded, failed, text }).ok).toBe(bounded);
  });

  it("makes a text the field of its object member, under that member's status", () => {
    const contract = defineContract({ ok, failed, stub, text });
    const value = toTextValue(contract, "reply", "Hello.");
    expect(value).toEqual({ status: "OK", reply: "Hello." });
    expect(contract.ok.parse(value)).toEqual(value);
    const several = z.object({ status: z.literal(["DONE", "OK"]), reply: z.string() });
    expect(toTextValue({ ok: several }, "reply", "")).toEqual({ status: "DONE", reply: "" });
  });

  const named = "the name of a z.string() of the ok member";

  it.each<[string, unknown, string]>([
    [
      "that is no object",
      withRules("reply"),
      'defineContract.text: got "reply", expected a value of type object',
    ],
    [
      "that is null",
      withRules(null),
      "defineContract.text: got null, expected a value of type object",
    ],
    [
      "without a field",
      withRules({ maxChars: 5 }),
      "defineContract.text.field: got nothing, expected a value of type string",
    ],
    [
      "with an empty field",
      withRules({ field: "" }),
      'defineContract.text.field: got "", expected at least 1',
    ],
    [
      "with an unknown rule",
      withRules({ field: "reply", banned: [] }),
      "defineContract.text.banned: got an unknown option, expected only documented options",
    ],
    [
      "of no length",
      withRules({ field: "reply", maxChars: 0 }),
      "defineContract.text.maxChars: got 0, expected at least 1",
    ],
    [
      "of half a unit",
      withRules({ field: "reply", maxChars: 1.5 }),
      "defineContract.text.maxChars: got 1.5, expected a value of type int",
    ],
    [
      "without a bound",
      withRules({ field: "reply", maxChars: Number.POSITIVE_INFINITY }),
      "defineContract.text.maxChars: got Infinity, expected a value of type number",
    ],
    [
      "longer than any text",
      withRules({ field: "reply", maxChars: 10_000_001 }),
      "defineContract.text.maxChars: got 10000001, expected at most 10000000",
    ],
    [
      "that forbids everything",
      withRules({ field: "reply", forbidden: ["secret", ""] }),
      'defineContract.text.forbidden.1: got "", expected at least 1',
    ],
    [
      "that forbids by a regular expression",
      withRules({ field: "reply", forbidden: [/secret/] }),
      "defineContract.text.forbidden.0: got an object, expected a value of type string",
    ],
    [
      "that forbids one text instead of a list",
      withRules({ field: "reply", forbidden: "secret" }),
      'defineContract.text.forbidden: got "secret", expected a value of type array',
    ],
    [
      "that forbids a whole page",
      withRules({ field: "reply", forbidden: ["x".repeat(1025)] }),
      `defineContract.text.forbidden.0: got "${"x".repeat(60)}…", expected at most 1024`,
    ],
    [
      "that forbids more than it can hold",
      withRules({ field: "reply", forbidden: Array.from({ length: 10_001 }, () => "x") }),
      "defineContract.text.forbidden: got an array of 10001, expected at most 10000",
    ],
    [
      "whose field does not exist",
      withOk({ reply: z.string() }, "answer"),
      `defineContract.text.field: got "answer", expected ${named}`,
    ],
    [
      "whose field is inherited",
      withOk({ reply: z.string() }, "toString"),
      `defineContract.text.field: got "toString", expected ${named}`,
    ],
    [
      "whose field is the status",
      withOk({ reply: z.string() }, "status"),
      `defineContract.text.field: got "status", expected ${named}`,
    ],
    [
      "whose field is a number",
      withOk({ reply: z.number() }),
      `defineContract.text.field: got "reply", expected ${named}`,
    ],
    [
      "whose field may be absent",
      withOk({ reply: z.string().optional() }),
      `defineContract.text.field: got "reply", expected ${named}`,
    ],
    [
      "with a field that the model can't write",
      withOk({ reply: z.string(), score: z.number() }),
      'defineContract.text.field: got an ok member with "score" too, expected one with status and this field only, because the model writes nothing else',
    ],
  ])("%s is refused in one line", (_, members, line) => {
    const error = refusalOf(members);
    expect(error.message).toBe(line);
    expect(line.startsWith(`${error.option}: `)).toBe(true);
  });
});
