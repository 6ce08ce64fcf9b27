import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { defineContract } from "./define-contract.ts";

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
    expect(contract.askable["required"]).toEqual(["status", "reply"]);
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
