import { readFileSync } from "node:fs";
import { describeOnDatabases } from "@sluice/testkit";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { latencyPercentile } from "./latency-percentile.ts";
import { sqlNames } from "./names.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

const migration = readFileSync(new URL("../migrations/0003_records.sql", import.meta.url), "utf8");
const from = new Date("2026-01-01T00:00:00Z");
const to = new Date("2026-01-02T00:00:00Z");

const openers = {
  postgres: (connectionString: string): SqlDatabase => postgres({ connectionString }),
  pglite: (): SqlDatabase => pglite(),
};

const transaction = (): never => {
  throw new Error("asked");
};

describe("latencyPercentile", () => {
  test.each([-0.1, 1.1, 95, Number.NaN])("%s is no percentile", async (percentile) => {
    await expect(latencyPercentile({ transaction }, { from, to, percentile })).rejects.toThrow(
      /latencyPercentile\.percentile: got /,
    );
  });
});

describeOnDatabases("latencyPercentile", openers, (open) => {
  // One database for all of them, because PGlite takes seconds to start.
  let db: SqlDatabase;
  const names = { prefix: "p3_" };
  const table = sqlNames(names).table("ai_training_examples");
  /** As a table of the product's may hold them: with fractions. */
  const fine = { prefix: "fine_" };
  const fineTable = sqlNames(fine).table("ai_training_examples");
  beforeAll(async () => {
    db = await open();
    await db.exec(sqlNames(names).render(migration));
    await db.exec(`CREATE TABLE ${fineTable} (latency_ms double precision)`);
    await db.exec(sqlNames(fine).render(migration));
  }, 60_000);

  const insert = (
    into: string,
    rows: readonly (readonly [provider: string | null, latencyMs: number | null, at?: Date])[],
  ) =>
    db.query(
      `INSERT INTO ${into} (selected_provider, latency_ms, created_at)
       SELECT * FROM unnest($1::text[], $2::float8[], $3::timestamptz[])`,
      [
        rows.map(([provider]) => provider),
        rows.map(([, latencyMs]) => latencyMs),
        rows.map(([, , at]) => (at ?? from).toISOString()),
      ],
    );

  test("rows without a provider or a latency, and rows outside the time, are left out", async () => {
    await db.exec(`TRUNCATE ${table}`);
    await insert(table, [
      ["b", 10],
      ["b", 20],
      ["a", 7],
      [null, 1000],
      ["a", null],
      ["a", 1000, to],
      ["a", 1000, new Date(from.getTime() - 1)],
    ]);
    const asked = { names, from, to, percentile: 0.5 };
    expect(await latencyPercentile(db, asked)).toEqual([
      { provider: "a", count: 1, latencyMs: 7 },
      { provider: "b", count: 2, latencyMs: 15 },
    ]);
    expect(await latencyPercentile(db, { ...asked, provider: "b", percentile: 1 })).toEqual([
      { provider: "b", count: 2, latencyMs: 20 },
    ]);
    expect(await latencyPercentile(db, { ...asked, provider: "'; DROP TABLE x" })).toEqual([]);
  });

  test("it is percentile_cont's answer for any rows", async () => {
    const providers = fc.constantFrom("openai", "custom", "Ä, 'x'");
    const whole = fc.tuple(providers, fc.integer({ min: 0, max: 60 }));
    const fraction = fc.tuple(providers, fc.double({ min: 0, max: 1e6, noNaN: true }));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.record({ rows: fc.array(whole, { maxLength: 200 }), of: fc.constant(names) }),
          fc.record({ rows: fc.array(fraction, { maxLength: 60 }), of: fc.constant(fine) }),
        ),
        fc.oneof(
          fc.constantFrom(0, 0.5, 0.95, 0.99, 1),
          fc.double({ min: 0, max: 1, noNaN: true }),
        ),
        async ({ rows, of }, percentile) => {
          const into = sqlNames(of).table("ai_training_examples");
          await db.exec(`TRUNCATE ${into}`);
          await insert(into, rows);
          const { rows: expected } = await db.query<{ provider: string; n: number; ms: number }>(
            `SELECT selected_provider AS provider, count(*)::float8 AS n,
               percentile_cont($1::float8) WITHIN GROUP (ORDER BY latency_ms) AS ms
             FROM ${into} GROUP BY 1 ORDER BY selected_provider COLLATE "C"`,
            [percentile],
          );
          const actual = await latencyPercentile(db, { names: of, from, to, percentile });
          expect(actual.map(({ provider, count }) => [provider, count])).toEqual(
            expected.map(({ provider, n }) => [provider, n]),
          );
          for (const [index, { latencyMs }] of actual.entries()) {
            expect(Math.abs(latencyMs - Number(expected[index]?.ms))).toBeLessThanOrEqual(1e-9);
          }
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});
