import { readFile } from "node:fs/promises";
import { ConfigError } from "@sluice/contract";
import { describeOnDatabases, postgresAnswers, postgresForTests } from "@sluice/testkit";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

// PGlite starts slowly where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const openers = {
  postgres: (connectionString: string) => postgres({ connectionString, poolSize: 10 }),
  pglite: () => pglite(),
};

describeOnDatabases("migrate", openers, (open) => {
  let db: SqlDatabase;

  beforeAll(async () => {
    db = await open();
  });

  beforeEach(async () => {
    await db.exec(
      "DROP SCHEMA IF EXISTS ai CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public;",
    );
  });

  test("runs what is missing, in order, and nothing the second time", async () => {
    const { applied } = await migrate(db);
    expect(applied.slice(0, 2)).toEqual(["0001_flags.sql", "0002_protection.sql"]);
    expect(applied).toEqual(applied.toSorted());
    expect(await migrate(db)).toEqual({ applied: [] });
  });

  test("runs each migration once when ten start at once", async () => {
    const all = await Promise.all(Array.from({ length: 10 }, async () => migrate(db)));
    const applied = all.flatMap((one) => one.applied);
    const { rows } = await db.query<{ name: string }>("SELECT name FROM sluice_migrations");
    expect(applied.toSorted()).toEqual(rows.map(({ name }) => name).toSorted());
  });

  test("creates the schema, and stands twice in one database", async () => {
    const first = await migrate(db, { names: { schema: "ai", prefix: "p3_" } });
    const second = await migrate(db, { names: { schema: "ai", prefix: "p4_" } });
    expect(second).toEqual(first);
    await db.query("INSERT INTO ai.p4_feature_state (feature_name) VALUES ('f')");
    const { rows } = await db.query(
      `SELECT (SELECT count(*)::int FROM ai.p3_flag_audit) AS three,
              (SELECT count(*)::int FROM ai.p4_flag_audit) AS four`,
    );
    expect(rows).toEqual([{ three: 0, four: 1 }]);
    const indexes = await db.query<{ table: string; indexes: number }>(
      `SELECT left(tablename, 3) AS table, count(*)::int AS indexes FROM pg_indexes
       WHERE schemaname = 'ai' GROUP BY 1 ORDER BY 1`,
    );
    expect(indexes.rows.map((row) => row.table)).toEqual(["p3_", "p4_"]);
    expect(indexes.rows[0]?.indexes).toBe(indexes.rows[1]?.indexes);
  });

  test("tells in one line which file is not the one that ran", async () => {
    await migrate(db);
    await db.query("UPDATE sluice_migrations SET checksum = 'x' WHERE name = '0001_flags.sql'");
    const error: unknown = await migrate(db).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toMatch(/^migration 0001_flags\.sql: .*$/u);
  });

  test("leaves nothing of a migration that fails", async () => {
    await db.query("CREATE TABLE flag_changes (nothing integer)");
    await expect(migrate(db)).rejects.toThrow("does not exist");
    const { rows } = await db.query("SELECT to_regclass('feature_state')::text AS found");
    expect(rows).toEqual([{ found: null }]);
  });

  test("goes on where psql ran the files of the flags as they are", async () => {
    for (const file of ["0001_flags.sql", "0002_protection.sql"]) {
      await db.exec(await readFile(new URL(`../migrations/${file}`, import.meta.url), "utf8"));
    }
    await db.query("INSERT INTO feature_state (feature_name, protected) VALUES ('f', true)");
    await migrate(db);
    await db.query("UPDATE feature_state SET killed = true");
    const { rows } = await db.query("SELECT count(*)::int AS entries FROM flag_audit");
    expect(rows).toEqual([{ entries: 2 }]);
  });
});

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("migrate beside one that migrates", () => {
  test("waits for longer than a statement of the app, or a lock of its role, may take", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const sibling = postgres({ connectionString });
    const { rows } = await sibling.query("SELECT current_database() AS name");
    await sibling.exec(`ALTER DATABASE "${String(rows[0]?.["name"])}" SET lock_timeout = '50ms'`);
    const app = postgres({ connectionString, statementTimeoutMs: 100 });
    onTestFinished(() => Promise.all([sibling.close(), app.close()]).then(() => undefined));

    const waited = `SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event = 'advisory'
        AND clock_timestamp() - query_start > interval '700 milliseconds'`;
    let migrating: Promise<unknown> = Promise.reject(new Error("not begun"));
    migrating.catch(() => undefined);
    await sibling.transaction(async (query) => {
      await query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [
        'migrate "public"."sluice_migrations"',
      ]);
      migrating = migrate(app);
      const untilWaited = vi.waitFor(
        async () => expect((await sibling.query(waited)).rows).toHaveLength(1),
        { timeout: 10_000 },
      );
      await Promise.race([untilWaited, migrating]);
    });
    await expect(migrating).resolves.toHaveProperty("applied.0", "0001_flags.sql");
  });
});
