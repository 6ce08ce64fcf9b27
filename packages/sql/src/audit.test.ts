import { describeOnDatabases, postgresAnswers, postgresForTests } from "@sluice/testkit";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { auditAnchor, verifyAudit } from "./audit.ts";
import type { SqlDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { sqlNames } from "./names.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

// PGlite starts slowly where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const openers = {
  postgres: (connectionString: string) => postgres({ connectionString }),
  pglite: () => pglite(),
};

const options = { names: { prefix: "p3_" } };

describeOnDatabases("the audit", openers, (open) => {
  let db: SqlDatabase;

  beforeAll(async () => {
    db = await open();
  });

  beforeEach(async () => {
    await db.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public;");
    await migrate(db, options);
  });

  const change = async (times: number): Promise<void> => {
    await db.query(
      "INSERT INTO p3_feature_state (feature_name) VALUES ('ü''\"\\') ON CONFLICT DO NOTHING",
    );
    for (let time = 0; time < times; time += 1) {
      await db.query("UPDATE p3_feature_state SET rollout_percent = (rollout_percent + 1) % 101");
    }
  };

  /** As someone does who owns the tables. */
  const tamper = async (statement: string): Promise<void> =>
    db.exec(
      `ALTER TABLE p3_flag_audit DISABLE TRIGGER ALL; ALTER TABLE p3_flag_audit_head DISABLE TRIGGER ALL;
       ${statement};
       ALTER TABLE p3_flag_audit ENABLE TRIGGER ALL; ALTER TABLE p3_flag_audit_head ENABLE TRIGGER ALL;`,
    );

  test("is whole when empty and after changes, in any time zone", async () => {
    expect(await verifyAudit(db, options)).toEqual({
      ok: true,
      rows: 0,
      head: { id: "0", hash: "" },
    });
    await db.transaction(async (query) => {
      await query("SET LOCAL timezone = 'Asia/Kolkata'");
      await query("SET LOCAL datestyle = 'German'");
      await query("INSERT INTO p3_feature_state (feature_name) VALUES ('f')");
    });
    await change(3);
    const head = await auditAnchor(db, options);
    expect(head.id).toBe("8");
    expect(head.hash).toMatch(/^[0-9a-f]{64}$/u);
    expect(await verifyAudit(db, options)).toEqual({ ok: true, rows: 8, head });
  });

  test("stays one chain when many change flags at once", async () => {
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        db.query("INSERT INTO p3_feature_state (feature_name) VALUES ($1)", [`f${String(index)}`]),
      ),
    );
    expect(await verifyAudit(db, options)).toMatchObject({ ok: true, rows: 20 });
  });

  test.each([
    "UPDATE p3_flag_audit SET reason = 'x'",
    "DELETE FROM p3_flag_audit",
    "TRUNCATE p3_flag_audit",
    "DELETE FROM p3_flag_audit_head",
  ])("refuses %s", async (statement) => {
    await change(1);
    await expect(db.query(statement)).rejects.toMatchObject({ code: "SL002" });
    expect(await verifyAudit(db, options)).toMatchObject({ ok: true, rows: 2 });
  });

  test.each([
    ["UPDATE p3_flag_audit SET database_role = 'someone' WHERE id = 3", "3", "altered"],
    ["UPDATE p3_flag_audit SET at = at + interval '1 hour' WHERE id = 3", "3", "altered"],
    [
      "UPDATE p3_flag_audit SET new_row = new_row || '{\"killed\": true}' WHERE id = 1",
      "1",
      "altered",
    ],
    ["UPDATE p3_flag_audit SET hash = previous_hash WHERE id = 5", "5", "altered"],
    ["DELETE FROM p3_flag_audit WHERE id = 1", "1", "missing"],
    ["DELETE FROM p3_flag_audit WHERE id IN (3, 4)", "3", "missing"],
    ["DELETE FROM p3_flag_audit WHERE id = 5", "5", "missing"],
    ["DELETE FROM p3_flag_audit", "1", "missing"],
    ["DELETE FROM p3_flag_audit_head", "6", "missing"],
    ["UPDATE p3_flag_audit_head SET hash = '\\x00'", "5", "head-differs"],
  ])("tells of %s", async (statement, at, problem) => {
    await change(4);
    await tamper(statement);
    expect(await verifyAudit(db, options)).toEqual({ ok: false, at, problem });
  });

  const head = "p3_flag_audit_head";
  test.each([
    ["is gone", `DELETE FROM ${head}`, 5],
    ["is gone, of an audit without rows", `DELETE FROM ${head}`, 0],
    ["was put back to the start", `UPDATE ${head} SET id = 0, hash = ''`, 5],
    ["has the last hash, but an id before it", `UPDATE ${head} SET id = 3`, 5],
    ["is gone with the last row", `DELETE FROM ${head}; DELETE FROM p3_flag_audit WHERE id = 5`, 4],
    ["has another hash", `UPDATE ${head} SET hash = '\\x00'`, 5],
  ])("lets a kill through when the head %s, and tells of it later", async (_, damage, last) => {
    await change(4);
    if (last === 0) await tamper(`DELETE FROM p3_flag_audit; ${damage}`);
    else await tamper(damage);

    const heard = Promise.withResolvers<string>();
    const listener = await db.listen(sqlNames(options.names).channel, {
      onNotify: heard.resolve,
      onEnd: (error) => {
        heard.reject(error ?? new Error("the listener ended"));
      },
    });
    await db.query("UPDATE p3_feature_state SET killed = true");
    expect(JSON.parse(await heard.promise)).toMatchObject({ table: "feature_state", version: 6 });
    listener.close();

    const told = { ok: false, at: String(last + 1), problem: "altered" };
    expect(await verifyAudit(db, options)).toEqual(told);
    await change(2);
    expect(await verifyAudit(db, options)).toEqual(told);
    const { rows } = await db.query<{ head: string; newest: string }>(
      `SELECT (SELECT id FROM ${head})::text AS head, max(id)::text AS newest FROM p3_flag_audit`,
    );
    expect(rows).toEqual([{ head: String(last + 3), newest: String(last + 3) }]);
  });

  test("stays in order when many change flags at once while the head is gone", async () => {
    await change(4);
    await tamper(`DELETE FROM ${head}`);
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        db.query("INSERT INTO p3_feature_state (feature_name) VALUES ($1)", [`f${String(index)}`]),
      ),
    );
    const { rows } = await db.query<{ id: string; previous: string; hash: string }>(
      `SELECT id::text AS id, encode(previous_hash, 'hex') AS previous, encode(hash, 'hex') AS hash
       FROM p3_flag_audit WHERE id > 5 ORDER BY p3_flag_audit.id`,
    );
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, at) => String(at + 6)));
    expect(rows.slice(1).map(({ previous }) => previous)).toEqual(
      rows.slice(0, -1).map(({ hash }) => hash),
    );
    expect(await verifyAudit(db, options)).toEqual({ ok: false, at: "6", problem: "altered" });
  });

  test("finds by an anchor that the newest rows are gone with their head", async () => {
    await change(4);
    const anchor = await auditAnchor(db, options);
    await change(1);
    expect(await verifyAudit(db, { ...options, anchor })).toMatchObject({ ok: true, rows: 6 });
    await tamper(
      `DELETE FROM p3_flag_audit WHERE id > 3;
       UPDATE p3_flag_audit_head SET (id, hash) = (SELECT id, hash FROM p3_flag_audit WHERE id = 3)`,
    );
    expect(await verifyAudit(db, options)).toMatchObject({ ok: true, rows: 3 });
    expect(await verifyAudit(db, { ...options, anchor })).toEqual({
      ok: false,
      at: "4",
      problem: "missing",
    });
    await change(4);
    expect(await verifyAudit(db, options)).toMatchObject({ ok: true, rows: 7 });
    expect(await verifyAudit(db, { ...options, anchor })).toEqual({
      ok: false,
      at: "5",
      problem: "not-the-anchor",
    });
  });

  test("rejects an anchor that is none", async () => {
    for (const anchor of [
      { id: "1; DROP TABLE x", hash: "" },
      { id: "1", hash: "zz" },
    ]) {
      await expect(verifyAudit(db, { ...options, anchor })).rejects.toMatchObject({
        code: "SLUICE_CONFIG",
      });
    }
  });
});

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("the audit under a limit of time", () => {
  test("is verified for longer than a statement of the app may take", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const [other, app] = [
      postgres({ connectionString }),
      postgres({ connectionString, statementTimeoutMs: 100 }),
    ];
    onTestFinished(() => Promise.all([other.close(), app.close()]).then(() => undefined));
    await migrate(other, options);

    const waited = `SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND clock_timestamp() - query_start > interval '700 milliseconds'`;
    let verifying: Promise<unknown> = Promise.resolve();
    await other.transaction(async (query) => {
      await query("LOCK TABLE p3_flag_audit");
      verifying = verifyAudit(app, options);
      const untilWaited = vi.waitFor(
        async () => expect((await other.query(waited)).rows).toHaveLength(1),
        { timeout: 10_000 },
      );
      await Promise.race([untilWaited, verifying]);
    });
    await expect(verifying).resolves.toMatchObject({ ok: true, rows: 0 });
  });
});
