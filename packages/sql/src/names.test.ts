import { ConfigError } from "@sluice/contract";
import { describe, expect, test } from "vitest";
import { sqlNames, type SqlNameOptions } from "./names.ts";

describe("sqlNames", () => {
  test("leaves the plain names in public without settings", () => {
    const names = sqlNames();
    expect(names.table("flag_audit")).toBe('"public"."flag_audit"');
    expect(names.channel).toBe("sluice_changed");
  });

  test("puts schema and prefix before each name", () => {
    const names = sqlNames({ schema: "ai", prefix: "p3_" });
    expect(names.table("feature_state")).toBe('"ai"."p3_feature_state"');
    expect(names.table("flag_audit")).toBe('"ai"."p3_flag_audit"');
  });

  test("uses the flag table's own name for that table only", () => {
    const names = sqlNames({ prefix: "p3_", flagTable: "product_flags" });
    expect(names.table("feature_state")).toBe('"public"."product_flags"');
    expect(names.table("flag_audit")).toBe('"public"."p3_flag_audit"');
  });

  test("gives each pair of schema and prefix a channel of its own", () => {
    const settings: SqlNameOptions[] = [
      {},
      { schema: "a", prefix: "b_c" },
      { schema: "a_b", prefix: "c" },
      { prefix: "p3_" },
    ];
    const channels = settings.map((options) => sqlNames(options).channel);
    expect(new Set(channels).size).toBe(channels.length);
    expect(channels.every((channel) => /^[a-z_][a-z0-9_]{0,62}$/u.test(channel))).toBe(true);
  });

  test("renders a script: objects qualified, indexes and triggers prefixed, the channel replaced", () => {
    const names = sqlNames({ schema: "ai", prefix: "p3_" });
    const script = `CREATE UNIQUE INDEX IF NOT EXISTS "i" ON "t" (a);
DROP TRIGGER IF EXISTS "g" ON "t"; CREATE OR REPLACE TRIGGER "g" BEFORE TRUNCATE ON "t";
SET search_path = pg_catalog, "public"; SELECT pg_notify('sluice_changed', '"t"'::regclass::text);
DROP INDEX "i";`;
    expect(names.render(script)).toBe(`CREATE UNIQUE INDEX IF NOT EXISTS "p3_i" ON "ai"."p3_t" (a);
DROP TRIGGER IF EXISTS "p3_g" ON "ai"."p3_t"; CREATE OR REPLACE TRIGGER "p3_g" BEFORE TRUNCATE ON "ai"."p3_t";
SET search_path = pg_catalog, "ai"; SELECT pg_notify('${names.channel}', '"ai"."p3_t"'::regclass::text);
DROP INDEX "ai"."p3_i";`);
  });

  test.each([
    [{ schema: 'pub"lic' }, String.raw`names.schema: got "pub\"lic", expected lower-case letters,`],
    [{ schema: "" }, 'names.schema: got "", expected lower-case letters,'],
    [{ schema: "a.b" }, 'names.schema: got "a.b", expected lower-case letters,'],
    [{ schema: null }, "names.schema: got null, expected a value of type string"],
    [{ prefix: "p3_; DROP TABLE x" }, 'names.prefix: got "p3_; DROP TABLE x", expected lower-case'],
    [{ prefix: "P3_" }, 'names.prefix: got "P3_", expected lower-case letters,'],
    [{ prefix: "3p" }, 'names.prefix: got "3p", expected lower-case letters,'],
    [{ prefix: 3 }, "names.prefix: got 3, expected a value of type string"],
    [{ flagTable: "flags\nx" }, String.raw`names.flagTable: got "flags\nx", expected lower-case`],
    [{ flagTable: "flägs" }, 'names.flagTable: got "flägs", expected lower-case letters,'],
    [{ flagTable: "f".repeat(42) }, /^names\.flagTable: got "f{42}", expected lower-case letters,/],
    [{ scheme: "ai" }, "names.scheme: got an unknown option, expected only documented options"],
    ["p3_", 'names: got "p3_", expected a value of type object'],
    [null, "names: got null, expected a value of type object"],
  ])("rejects %j in one line", (options, line) => {
    let error: unknown;
    try {
      sqlNames(options as SqlNameOptions);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toMatch(line);
    expect((error as ConfigError).message).not.toContain("\n");
  });

  test("rejects a prefix with which PostgreSQL would cut a name", () => {
    const names = sqlNames({ prefix: "p".repeat(41) });
    expect(() => names.table("a".repeat(22))).not.toThrow();
    expect(() => names.table("a".repeat(23))).toThrow(
      /^names\.prefix: got p{41}, expected a prefix/,
    );
  });
});
