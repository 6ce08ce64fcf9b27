import { describeOnDatabases } from "@sluice/testkit";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { latencyEstimate } from "./latency-estimate.ts";
import { rollUpLatency } from "./latency-roll-up.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

const openers = {
  postgres: (connectionString: string): SqlDatabase => postgres({ connectionString }),
  pglite: (): SqlDatabase => pglite(),
};

const start = Date.UTC(2026, 0, 5);
const hourMs = 3_600_000;
const at = (hours: number): Date => new Date(start + hours * hourMs);

describe("rollUpLatency", () => {
  test("an option that is none is refused", async () => {
    const db = { transaction: () => Promise.reject(new Error("asked")) };
    const to = "yesterday" as unknown as Date;
    await expect(rollUpLatency(db, { to })).rejects.toThrow(/rollUpLatency\.to: got /);
  });
});

describeOnDatabases("rollUpLatency", openers, (open) => {
  let db: SqlDatabase;
  beforeAll(async () => {
    db = await open();
    await migrate(db);
  }, 60_000);
  beforeEach(() =>
    db.exec("TRUNCATE ai_training_examples, latency_hours, latency_days, latency_rolled_up"),
  );

  const insert = (createdAt: Date | string, latencyMs: number, provider = "openai") =>
    db.query(
      `INSERT INTO ai_training_examples (selected_provider, latency_ms, created_at)
       VALUES ($1, $2, $3::timestamptz)`,
      [provider, latencyMs, typeof createdAt === "string" ? createdAt : createdAt.toISOString()],
    );
  const counted = async (): Promise<unknown> =>
    (
      await db.query(
        `SELECT extract(epoch FROM hour - $1::timestamptz)::integer / 3600 AS hour, provider,
           sum(n)::integer AS n
         FROM latency_hours GROUP BY 1, 2 ORDER BY 1, 2`,
        [at(0).toISOString()],
      )
    ).rows;
  const units = async (unit: "hour" | "day"): Promise<number> =>
    (
      await db.query<{ n: number }>(
        "SELECT count(*)::integer AS n FROM latency_rolled_up WHERE unit = $1",
        [unit],
      )
    ).rows[0]?.n ?? 0;

  test("counts the hours that are over, once, and knows an hour without rows", async () => {
    await insert(at(0.5), 10);
    await insert(at(0.6), 10);
    await insert(at(0.7), 10, "custom");
    await insert(at(2), 10);
    await insert(at(3.1), 10);
    const first = { hour: 0, provider: "custom", n: 1 };
    const others = [
      { hour: 0, provider: "openai", n: 2 },
      { hour: 2, provider: "openai", n: 1 },
    ];
    expect(await rollUpLatency(db, { to: at(3.9) })).toEqual({ hours: 3 });
    expect(await counted()).toEqual([first, ...others]);
    expect(await rollUpLatency(db, { to: at(3.9) })).toEqual({ hours: 0 });
    expect(await rollUpLatency(db, { to: at(4) })).toEqual({ hours: 1 });
    expect(await counted()).toEqual([first, ...others, { hour: 3, provider: "openai", n: 1 }]);
  });

  test("an hour is over ten minutes after its end, because rows may come late", async () => {
    const { rows } = await db.query<{ ms: number }>(
      "SELECT extract(epoch FROM date_bin('1 hour', now(), '2000-01-01 00:00Z'))::float8 * 1000 AS ms",
    );
    const thisHour = rows[0]?.ms ?? 0;
    await insert(new Date(thisHour - 2 * hourMs), 10);
    await insert(new Date(thisHour), 10);
    await rollUpLatency(db);
    const { rows: last } = await db.query<{ early: boolean; late: boolean }>(
      `SELECT bool_and(starts_at <= now() - interval '70 minutes') AS early,
         bool_or(starts_at >= to_timestamp($1::float8 / 1000) - interval '2 hours') AS late
       FROM latency_rolled_up`,
      [thisHour],
    );
    expect(last).toEqual([{ early: true, late: true }]);
  });

  test("without rows nothing is counted", async () => {
    expect(await rollUpLatency(db)).toEqual({ hours: 0 });
    await db.exec("INSERT INTO ai_training_examples (created_at, latency_ms) VALUES (now(), 3)");
    expect(await rollUpLatency(db, { to: at(0) })).toEqual({ hours: 0 });
  });

  test("however many run at once, each hour and the day are counted once", async () => {
    for (let hour = 0; hour < 30; hour += 1) await insert(at(hour + 0.5), 10 + hour);
    const all = await Promise.all(
      Array.from({ length: 4 }, () => rollUpLatency(db, { to: at(30) })),
    );
    expect(all.reduce((sum, { hours }) => sum + hours, 0)).toBe(30);
    expect(await units("hour")).toBe(30);
    expect(await units("day")).toBe(1);
    const whole = { from: at(0), to: at(30), percentile: 0.5 };
    expect(await latencyEstimate(db, whole)).toMatchObject([{ count: 30 }]);
  });

  test("rows that came late count when it is asked for, in their day too", async () => {
    for (let hour = 0; hour < 24; hour += 1) await insert(at(hour), 10);
    await rollUpLatency(db, { to: at(24) });
    await insert(at(5.5), 1000);
    expect(await rollUpLatency(db, { to: at(24) })).toEqual({ hours: 0 });
    const day = { from: at(0), to: at(24), percentile: 1 };
    expect(await latencyEstimate(db, day)).toMatchObject([{ count: 24 }]);
    expect(await rollUpLatency(db, { from: at(5.5), to: at(7) })).toEqual({ hours: 2 });
    const [answer] = await latencyEstimate(db, day);
    expect(answer?.count).toBe(25);
    expect(Math.abs((answer?.latencyMs ?? 0) - 1000)).toBeLessThanOrEqual(10);
  });

  test("a row of long ago makes no endless work, but can be asked for", async () => {
    await insert("1971-01-01 00:30:00Z", 10);
    await insert(at(1), 10);
    const lists: unknown[] = [];
    const listing: Pick<SqlDatabase, "transaction"> = {
      transaction: async (work) => {
        const result = await db.transaction(work);
        lists.push(result);
        return result;
      },
    };
    const signal = AbortSignal.abort();
    await rollUpLatency(listing, { to: at(2), signal });
    expect(lists).toEqual([Array.from({ length: 9600 }, (_, age) => at(1 - age).getTime())]);
    const longAgo = new Date("1971-01-01T00:59:59Z");
    await rollUpLatency(listing, { from: longAgo, to: new Date("1971-01-01T02:00:00Z"), signal });
    expect(lists[1]).toHaveLength(2);
  });

  test("a table of the product's own may have other types", async () => {
    await db.exec(`DROP TABLE IF EXISTS own_ai_training_examples;
      CREATE TABLE own_ai_training_examples (
        selected_provider varchar(64), created_at timestamp, latency_ms numeric
      )`);
    const names = { prefix: "own_" };
    await migrate(db, { names });
    await db.exec(`INSERT INTO own_ai_training_examples (selected_provider, created_at, latency_ms)
      VALUES ('openai', '2026-01-05 00:30:00', 100.5), ('custom', '2026-01-05 02:30:00', 0.25),
        ('custom', NULL, 7)`);
    expect(await rollUpLatency(db, { names, to: at(2) })).toEqual({ hours: 2 });
    const answers = await latencyEstimate(db, { names, from: at(0), to: at(3), percentile: 1 });
    expect(answers.map(({ provider, count }) => [provider, count])).toEqual([
      ["custom", 1],
      ["openai", 1],
    ]);
    expect(Math.abs((answers[1]?.latencyMs ?? 0) - 100.5)).toBeLessThanOrEqual(1.005);
  });

  test("it ends after the hour that it is at when told to", async () => {
    await insert(at(0), 10);
    const ending = new AbortController();
    let calls = 0;
    const counting: Pick<SqlDatabase, "transaction"> = {
      transaction: (work) => {
        calls += 1;
        if (calls === 3) ending.abort();
        return db.transaction(work);
      },
    };
    const ended = await rollUpLatency(counting, { to: at(10), signal: ending.signal });
    expect(ended).toEqual({ hours: 2 });
    expect(await units("hour")).toBe(2);
  });
});
