import { describeOnDatabases, FakeClock } from "@sluice/testkit";
import { beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { sqlNames } from "./names.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { sqlFlags } from "./sql-flags.ts";

// PGlite starts slowly where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const openers = {
  postgres: (connectionString: string) => postgres({ connectionString }),
  pglite: () => pglite(),
};

const names = { prefix: "p3_" };
const shut =
  "UPDATE p3_feature_state SET enabled = false, rollout_percent = 0 WHERE feature_name = 'p3_advisory';";

const insert = async (db: SqlDatabase): Promise<void> => {
  await db.query(
    "INSERT INTO p3_feature_state (feature_name, enabled, rollout_percent) VALUES ('p3_advisory', true, 50)",
  );
};

const versionOf = async (db: SqlDatabase): Promise<string | undefined> => {
  const { rows } = await db.query<{ version: string }>(
    "SELECT version::text AS version FROM p3_feature_state WHERE feature_name = 'p3_advisory'",
  );
  return rows[0]?.version;
};

describeOnDatabases("the flag table", openers, (open) => {
  let db: SqlDatabase;

  beforeAll(async () => {
    db = await open();
  });

  beforeEach(async () => {
    await db.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public;");
    await migrate(db, { names });
  });

  test("takes the operator's statement, counts the version up and audits both rows", async () => {
    await insert(db);
    await db.transaction(async (query) => {
      await query("SET LOCAL sluice.reason = 'odd answers'");
      await query(shut);
    });
    expect(await versionOf(db)).toBe("2");
    const { rows } = await db.query(
      `SELECT id::int AS id, action, old_row ->> 'rollout_percent' AS old, new_row ->> 'rollout_percent' AS new,
         reason, database_role = session_user AS role
       FROM p3_flag_audit ORDER BY id`,
    );
    expect(rows).toEqual([
      { id: 1, action: "INSERT", old: null, new: "50", reason: null, role: true },
      { id: 2, action: "UPDATE", old: "50", new: "0", reason: "odd answers", role: true },
    ]);
  });

  test("announces a change and a deletion, without content", async () => {
    await insert(db);
    const heard: unknown[] = [];
    const twice = Promise.withResolvers<undefined>();
    const listener = await db.listen(sqlNames(names).channel, {
      onNotify: (payload) => {
        if (heard.push(JSON.parse(payload)) === 2) {
          twice.resolve(undefined);
        }
      },
      onEnd: (error) => {
        twice.reject(error ?? new Error("the listener ended"));
      },
    });
    await db.exec(shut);
    await db.query("DELETE FROM p3_feature_state");
    await twice.promise;
    listener.close();
    const announced = { table: "feature_state", feature: "p3_advisory", version: 2 };
    expect(heard).toEqual([announced, announced]);
  });

  test("takes no version from the caller, and keeps it where nothing changed", async () => {
    await db.query(
      "INSERT INTO p3_feature_state (feature_name, version) VALUES ('p3_advisory', 900)",
    );
    expect(await versionOf(db)).toBe("1");
    await db.query("UPDATE p3_feature_state SET version = 700, killed = true");
    expect(await versionOf(db)).toBe("2");
    await db.query("UPDATE p3_feature_state SET version = 800, killed = true, updated_at = now()");
    expect(await versionOf(db)).toBe("2");
    const { rows } = await db.query("SELECT count(*)::int AS entries FROM p3_flag_audit");
    expect(rows).toEqual([{ entries: 2 }]);
  });

  test("goes on counting when a row is deleted and made again", async () => {
    await insert(db);
    await db.exec(shut);
    await db.query("DELETE FROM p3_feature_state");
    await insert(db);
    expect(await versionOf(db)).toBe("3");
  });

  test("goes on counting when a row takes the name of a deleted one", async () => {
    await insert(db);
    await db.exec(shut);
    await db.query("DELETE FROM p3_feature_state");
    await db.query("INSERT INTO p3_feature_state (feature_name) VALUES ('other')");
    await db.query("UPDATE p3_feature_state SET feature_name = 'p3_advisory'");
    expect(await versionOf(db)).toBe("3");
  });

  test("takes an upsert", async () => {
    await insert(db);
    await db.query(
      `INSERT INTO p3_feature_state (feature_name, enabled) VALUES ('p3_advisory', false)
       ON CONFLICT (feature_name) DO UPDATE SET enabled = excluded.enabled`,
    );
    expect(await versionOf(db)).toBe("2");
  });

  test("refuses TRUNCATE and a percent of 101", async () => {
    await insert(db);
    await expect(db.query("TRUNCATE p3_feature_state")).rejects.toMatchObject({ code: "SL002" });
    await expect(
      db.query("UPDATE p3_feature_state SET rollout_percent = 101"),
    ).rejects.toMatchObject({ code: "23514" });
  });

  test("adds to a product's table of three columns, and audits none of its other columns", async () => {
    await db.exec(
      `DROP SCHEMA public CASCADE; CREATE SCHEMA public;
       CREATE TABLE product_flags (feature_name text, enabled boolean, rollout_percent integer, notes json);
       INSERT INTO product_flags VALUES ('p3_advisory', true, 50, '{"secret": 1}'), ('odd', null, null, null);`,
    );
    await migrate(db, { names: { prefix: "p3_", flagTable: "product_flags" } });
    await db.exec(shut.replace("p3_feature_state", "product_flags"));
    await db.query("UPDATE product_flags SET notes = null, enabled = false");
    const { rows } = await db.query(
      "SELECT feature_name, version::int AS version, killed FROM product_flags ORDER BY 1",
    );
    expect(rows).toEqual([
      { feature_name: "odd", version: 2, killed: false },
      { feature_name: "p3_advisory", version: 2, killed: false },
    ]);
    const audit = await db.query<{ entry: string }>(
      "SELECT to_jsonb(a)::text AS entry FROM p3_flag_audit a",
    );
    expect(audit.rows).toHaveLength(2);
    expect(audit.rows.some(({ entry }) => entry.includes("notes"))).toBe(false);
  });

  test("of three columns that nobody migrated announces nothing, has no versions, and is polled", async () => {
    await db.exec(
      `DROP SCHEMA public CASCADE; CREATE SCHEMA public;
       CREATE TABLE p3_feature_state (feature_name text, enabled boolean, rollout_percent integer)`,
    );
    const heard: string[] = [];
    const last = Promise.withResolvers<undefined>();
    const listener = await db.listen(sqlNames(names).channel, {
      onNotify: (payload) => {
        heard.push(payload);
        if (payload === "last") last.resolve(undefined);
      },
      onEnd: (error) => {
        last.reject(error ?? new Error("the listener ended"));
      },
    });
    await insert(db);
    await db.exec(shut);
    await db.query("SELECT pg_notify($1, 'last')", [sqlNames(names).channel]);
    await last.promise;
    listener.close();
    expect(heard).toEqual(["last"]);

    const clock = new FakeClock();
    const flags = sqlFlags(db, { clock, random: () => 0.5, names });
    onTestFinished(() => {
      flags.close();
    });
    await flags.ready();
    expect(flags.versions()).toEqual(new Map([["p3_advisory", undefined]]));
    await db.query("UPDATE p3_feature_state SET enabled = true, rollout_percent = 50");
    await clock.advanceAsync(1000);
    await vi.waitFor(() => {
      expect(flags.read("p3_advisory")).toMatchObject({ enabled: true, percent: 50 });
    });
  });

  test("lets a kill pass while a transaction that changed another flag is open", async ({
    skip,
  }) => {
    skip(db.kind === "pglite", "it has one connection");
    await insert(db);
    await db.query("INSERT INTO p3_feature_state (feature_name) VALUES ('other')");
    await db.transaction(async (query) => {
      await query("UPDATE p3_feature_state SET killed = true WHERE feature_name = 'other'");
      await db.exec(shut);
    });
    expect(await versionOf(db)).toBe("2");
  });
});
