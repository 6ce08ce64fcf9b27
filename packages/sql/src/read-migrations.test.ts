import { describeOnDatabases } from "@sluice/testkit";
import { beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { readMigrations } from "./read-migrations.ts";

// PGlite starts slowly where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const openers = {
  postgres: (connectionString: string) => postgres({ connectionString }),
  pglite: () => pglite(),
};

describeOnDatabases("readMigrations", openers, (open) => {
  let db: SqlDatabase;

  beforeAll(async () => {
    db = await open();
  });

  beforeEach(async () => {
    await db.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public;");
  });

  test("finds all missing where nothing ran, and creates nothing", async () => {
    const read = await readMigrations(db);
    expect(read).toMatchObject({ applied: [], differing: [], unknown: [] });
    expect(read.missing.slice(0, 2)).toEqual(["0001_flags.sql", "0002_protection.sql"]);
    const { rows } = await db.query("SELECT to_regclass('sluice_migrations')::text AS found");
    expect(rows).toEqual([{ found: null }]);
  });

  test("finds all applied after migrate, under names of another prefix too", async () => {
    const names = { prefix: "p3_" };
    const { applied } = await migrate(db, { names });
    expect(await readMigrations(db, { names })).toEqual({
      applied,
      missing: [],
      differing: [],
      unknown: [],
    });
    expect((await readMigrations(db)).missing).toEqual(applied);
  });

  test("tells what is missing, what another file was, and what only a newer package knows", async () => {
    const { applied } = await migrate(db);
    const [first = "", second = "", ...others] = applied;
    await db.exec(
      `DELETE FROM sluice_migrations WHERE name = '${second}';
       UPDATE sluice_migrations SET checksum = 'x' WHERE name = '${first}';
       INSERT INTO sluice_migrations (name, checksum) VALUES ('9999_later.sql', 'y')`,
    );
    expect(await readMigrations(db)).toEqual({
      applied: others,
      missing: [second],
      differing: [first],
      unknown: ["9999_later.sql"],
    });
  });
});
