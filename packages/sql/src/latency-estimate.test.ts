import { addToHistogram, emptyLogHistogram, histogramQuantile } from "@sluice/policy";
import { describeOnDatabases } from "@sluice/testkit";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { bucketInSql, latencyOfBucket } from "./latency-bucket.ts";
import { latencyEstimate } from "./latency-estimate.ts";
import { latencyPercentile } from "./latency-percentile.ts";
import { rollUpLatency } from "./latency-roll-up.ts";
import { migrate } from "./migrate.ts";
import { sqlNames } from "./names.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

const openers = {
  postgres: (connectionString: string): SqlDatabase => postgres({ connectionString }),
  pglite: (): SqlDatabase => pglite(),
};

const start = Date.UTC(2026, 0, 5);
const hourMs = 3_600_000;
const from = new Date(start);
const to = new Date(start + 60 * hourMs);

const transaction = (): never => {
  throw new Error("asked");
};

describe("latencyEstimate", () => {
  test("a percentile over 1 is none", async () => {
    await expect(latencyEstimate({ transaction }, { from, to, percentile: 95 })).rejects.toThrow(
      /latencyEstimate\.percentile: got /,
    );
  });

  test("an empty range has no rows, and asks nothing", async () => {
    expect(await latencyEstimate({ transaction }, { from, to: from, percentile: 0.5 })).toEqual([]);
  });
});

describeOnDatabases("latencyEstimate", openers, (open) => {
  let db: SqlDatabase;
  const names = { prefix: "p3_" };
  const table = (name: string): string => sqlNames(names).table(name);
  beforeAll(async () => {
    db = await open();
    await migrate(db, { names });
  }, 60_000);

  const empty = () =>
    db.exec(
      `TRUNCATE ${["ai_training_examples", "latency_hours", "latency_days", "latency_rolled_up"]
        .map(table)
        .join(", ")}`,
    );
  const insert = (
    rows: readonly (readonly [provider: string | null, latencyMs: number | null, atMs: number])[],
  ) =>
    db.query(
      `INSERT INTO ${table("ai_training_examples")} (selected_provider, latency_ms, created_at)
       SELECT * FROM unnest($1::text[], $2::integer[], $3::timestamptz[])`,
      [
        rows.map(([provider]) => provider),
        rows.map(([, latencyMs]) => latencyMs),
        rows.map(([, , atMs]) => new Date(atMs).toISOString()),
      ],
    );

  test("each bucket's value is within 1 % of the latencies in it, and is the histogram's", async () => {
    const others = [0.4, 1e-10, 1e-8, 86_400_000, 2_147_483_647, 1e14];
    const latencies = others.concat(Array.from({ length: 2000 }, (_, latency) => latency));
    const { rows } = await db.query<{ ms: number; bucket: number }>(
      `SELECT ms, ${bucketInSql("ms")}::integer AS bucket FROM unnest($1::float8[]) AS ms`,
      [latencies],
    );
    expect(rows).toHaveLength(latencies.length);
    for (const { ms, bucket } of rows) {
      const histogram = emptyLogHistogram();
      addToHistogram(histogram, ms);
      const value = latencyOfBucket(bucket);
      const ofHistogram = histogramQuantile(histogram, 0.5) ?? Number.NaN;
      expect(Math.abs(value - ofHistogram), String(ms)).toBeLessThanOrEqual(1e-9 * ofHistogram);
      const right = ms < 1e-9 ? 0 : ms;
      expect(Math.abs(value - right), String(ms)).toBeLessThanOrEqual((0.01 + 1e-12) * right);
    }
  });

  test("any range is within 1 % of the exact percentile, whatever is rolled up of it", async () => {
    const row = fc.tuple(
      fc.constantFrom("openai", "custom", "Ä, 'x'", null),
      fc.oneof(
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 0, max: 60_000 }),
        fc.constant(null),
      ),
      fc.integer({ min: start, max: to.getTime() }),
    );
    const moment = fc.integer({ min: start - hourMs, max: to.getTime() + hourMs });
    let rolledUp = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 200 }),
        moment,
        moment,
        fc.tuple(moment, moment, moment),
        fc.oneof(fc.constantFrom(0, 0.5, 0.95, 1), fc.double({ min: 0, max: 1, noNaN: true })),
        fc.constantFrom(undefined, "openai"),
        async (rows, rolledUpTo, holeAt, [one, other, hour], percentile, provider) => {
          await empty();
          await insert(rows);
          const rolled = await rollUpLatency(db, { names, to: new Date(rolledUpTo) });
          rolledUp += rolled.hours;
          // An hour and its day that nobody has rolled up yet.
          for (const [unit, length] of [
            ["hour", hourMs],
            ["day", 24 * hourMs],
          ] as const) {
            const hole = new Date(Math.floor(holeAt / length) * length).toISOString();
            await db.query(
              `DELETE FROM ${table("latency_rolled_up")} WHERE unit = $1 AND starts_at = $2`,
              [unit, hole],
            );
            await db.query(`DELETE FROM ${table(`latency_${unit}s`)} WHERE ${unit} = $1`, [hole]);
          }
          const ends = [one, Math.floor(other / hourMs) * hourMs, hour].toSorted((a, b) => a - b);
          const range = { from: new Date(ends[0] ?? 0), to: new Date(ends[2] ?? 0) };
          const query = {
            names,
            ...range,
            percentile,
            ...(provider !== undefined && { provider }),
          };
          const exact = await latencyPercentile(db, query);
          const estimated = await latencyEstimate(db, query);
          expect(estimated.map((each) => [each.provider, each.count])).toEqual(
            exact.map((each) => [each.provider, each.count]),
          );
          for (const [index, { latencyMs }] of estimated.entries()) {
            const right = exact[index]?.latencyMs ?? Number.NaN;
            expect(Math.abs(latencyMs - right)).toBeLessThanOrEqual(0.01 * right + 1e-9);
          }
        },
      ),
      { numRuns: 25 },
    );
    expect(rolledUp).toBeGreaterThan(100);
  }, 60_000);

  test("whole hours are answered without the rows", async () => {
    await empty();
    await insert([
      ["openai", 100, start],
      ["openai", 300, start + 30 * hourMs],
    ]);
    await rollUpLatency(db, { names, to });
    await db.exec(`DELETE FROM ${table("ai_training_examples")}`);
    const [answer, ...others] = await latencyEstimate(db, { names, from, to, percentile: 1 });
    expect(others).toEqual([]);
    expect(answer).toMatchObject({ provider: "openai", count: 2 });
    expect(answer?.latencyMs).toBeCloseTo(300, -1);
  });
});
