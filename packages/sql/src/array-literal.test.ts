import { describeOnDatabases } from "@sluice/testkit";
import { array, assert, asyncProperty, constantFrom, oneof, option, string } from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { arrayLiteral } from "./array-literal.ts";
import type { SqlDatabase } from "./database.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

const openers = {
  postgres: (connectionString: string): SqlDatabase => postgres({ connectionString }),
  pglite: (): SqlDatabase => pglite(),
};

describeOnDatabases("an array written as text", openers, (open) => {
  let db: SqlDatabase;
  beforeAll(async () => {
    db = await open();
  });

  it("is read as the same texts, whatever they hold", async () => {
    const text = oneof(
      string({ unit: "grapheme" }),
      constantFrom("", "NULL", "null", "{}", '"', "\\", ",", " a ", '\\"', "a,b", "\n"),
    );
    await assert(
      asyncProperty(array(option(text, { nil: undefined })), async (texts) => {
        // What no database can hold.
        const held = texts.map((each) => each?.replaceAll("\0", ""));
        const { rows } = await db.query<{ same: string[] }>("SELECT $1::text[] AS same", [
          arrayLiteral(held),
        ]);
        expect(rows[0]?.same).toEqual(held.map((each) => each ?? null));
      }),
      { numRuns: 50 },
    );
  });

  it("is read as the same figures and truths", async () => {
    const { rows } = await db.query<{ figures: number[]; truths: boolean[] }>(
      "SELECT $1::float8[] AS figures, $2::boolean[] AS truths",
      [arrayLiteral([1.5, undefined, -0.25, 1e21, 123_456_789_012]), arrayLiteral([true, false])],
    );
    expect(rows[0]).toEqual({
      figures: [1.5, null, -0.25, 1e21, 123_456_789_012],
      truths: [true, false],
    });
  });
});
