import { randomBytes } from "node:crypto";
import { describeOnDatabases } from "@sluice/testkit";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { verifyAudit } from "./audit.ts";
import type { SqlDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

// PGlite starts slowly where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const openers = {
  postgres: (connectionString: string) => postgres({ connectionString }),
  pglite: () => pglite(),
};

const names = { prefix: "p3_" };
const open20 = "UPDATE p3_feature_state SET enabled = true, rollout_percent = 20";
const refused = { code: "SL001" };

const role = (): string => `sluice_${randomBytes(8).toString("hex")}`;

describeOnDatabases("a protected feature", openers, (open) => {
  const [ann, ben, eve] = [role(), role(), role()];
  let db: SqlDatabase;

  beforeAll(async () => {
    db = await open();
    await db.exec(`CREATE ROLE ${ann}; CREATE ROLE ${ben}; CREATE ROLE ${eve};`);
  });

  beforeEach(async () => {
    await db.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public;");
    await migrate(db, { names });
    await db.exec(
      `GRANT USAGE ON SCHEMA public TO ${ann}, ${ben}, ${eve};
       GRANT SELECT, INSERT, UPDATE, DELETE ON p3_feature_state TO ${ann}, ${ben};
       INSERT INTO p3_feature_state (feature_name, rollout_percent, protected) VALUES ('f', 5, true);`,
    );
  });

  afterAll(async () => {
    await db.exec(
      `DROP OWNED BY ${ann}, ${ben}, ${eve}; DROP ROLE ${ann}; DROP ROLE ${ben}; DROP ROLE ${eve};`,
    );
  });

  const as = async <Row>(who: string, ...statements: string[]): Promise<readonly Row[]> => {
    try {
      return await db.transaction(async (query) => {
        await query(`SET LOCAL SESSION AUTHORIZATION ${who}`);
        let rows: readonly Row[] = [];
        for (const statement of statements) {
          ({ rows } = await query<Row>(statement));
        }
        return rows;
      });
    } finally {
      if (db.kind === "pglite") {
        // Its only session does not find back by itself.
        await db.exec("SET SESSION AUTHORIZATION postgres");
      }
    }
  };

  const request = async (who: string, targets = "true, 20, false", more = ""): Promise<string> => {
    const rows = await as<{ id: string }>(
      who,
      `SELECT p3_request_flag_change('f', ${targets}, 'a reason'${more})::text AS id`,
    );
    return rows[0]?.id ?? "";
  };

  const approve = async (who: string, id: string): Promise<void> => {
    await as(who, `SELECT p3_approve_flag_change(${id})`);
  };

  test("is widened by an approved change, once, and the audit names it", async () => {
    const id = await request(ann);
    await expect(as(ann, open20)).rejects.toMatchObject(refused);
    await approve(ben, id);
    await as(ann, open20);
    const { rows } = await db.query(
      `SELECT a.change_id::text AS change, a.database_role AS role, c.state, c.requested_by, c.approved_by
       FROM p3_flag_audit a JOIN p3_flag_changes c ON c.id = a.change_id`,
    );
    expect(rows).toEqual([
      { change: id, role: ann, state: "applied", requested_by: ann, approved_by: ben },
    ]);
    await as(ben, "UPDATE p3_feature_state SET enabled = false");
    await expect(as(ann, open20)).rejects.toMatchObject(refused);
    expect(await verifyAudit(db, { names })).toMatchObject({ ok: true, rows: 3 });
  });

  test.each([
    "UPDATE p3_feature_state SET enabled = true",
    "UPDATE p3_feature_state SET rollout_percent = 6",
    "UPDATE p3_feature_state SET protected = false",
    "UPDATE p3_feature_state SET salt = 'other'",
    "UPDATE p3_feature_state SET allowlist = '{a}'",
    "UPDATE p3_feature_state SET feature_name = 'g'",
    "INSERT INTO p3_feature_state (feature_name, enabled, rollout_percent, protected) VALUES ('g', true, 1, true)",
    "INSERT INTO p3_feature_state (feature_name) VALUES ('f') ON CONFLICT (feature_name) DO UPDATE SET enabled = true",
  ])("refuses %s, also to its owner", async (statement) => {
    await expect(db.query(statement)).rejects.toMatchObject(refused);
    await expect(as(ann, statement)).rejects.toMatchObject(refused);
  });

  test("refuses to give a list up or to add to it, and to bring a killed one back", async () => {
    await db.query(
      `INSERT INTO p3_feature_state (feature_name, killed, allowlist, protected)
       VALUES ('g', true, '{a,b}', true)`,
    );
    for (const widening of ["killed = false", "allowlist = null", "allowlist = '{a,c}'"]) {
      await expect(
        db.query(`UPDATE p3_feature_state SET ${widening} WHERE feature_name = 'g'`),
      ).rejects.toMatchObject(refused);
    }
  });

  test("is narrowed, killed and deleted by a plain statement", async () => {
    await approve(ben, await request(ann));
    await as(ann, open20);
    const narrowing = [
      "allowlist = '{}'",
      "rollout_percent = 10, salt = 'f'",
      "killed = true",
      "enabled = false, rollout_percent = 0",
    ];
    for (const narrower of narrowing) {
      await as(ben, `UPDATE p3_feature_state SET ${narrower} WHERE feature_name = 'f'`);
    }
    await as(ben, "DELETE FROM p3_feature_state");
    const { rows } = await db.query("SELECT count(*)::int AS entries FROM p3_flag_audit");
    expect(rows).toEqual([{ entries: 7 }]);
  });

  test("stays protected when its row is deleted and made again, or its name taken", async () => {
    await as(ann, "DELETE FROM p3_feature_state");
    for (const row of ["'f', true, 100, false", "'f', false, 0, false", "'f', true, 100, true"]) {
      await expect(
        as(
          ann,
          `INSERT INTO p3_feature_state (feature_name, enabled, rollout_percent, protected) VALUES (${row})`,
        ),
      ).rejects.toMatchObject(refused);
    }
    await as(
      ann,
      "INSERT INTO p3_feature_state (feature_name, enabled, rollout_percent) VALUES ('g', true, 100)",
    );
    await expect(as(ann, "UPDATE p3_feature_state SET feature_name = 'f'")).rejects.toMatchObject(
      refused,
    );
    await as(ann, "INSERT INTO p3_feature_state (feature_name, protected) VALUES ('f', true)");
  });

  test("stays protected for a transaction that began before its row was deleted", async ({
    skip,
  }) => {
    skip(db.kind === "pglite", "it has one connection");
    const remade = db.transaction(async (query) => {
      await query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
      await query("SELECT FROM p3_feature_state");
      await db.query("DELETE FROM p3_feature_state");
      await query(
        "INSERT INTO p3_feature_state (feature_name, enabled, rollout_percent) VALUES ('f', true, 100)",
      );
    });
    await expect(remade).rejects.toMatchObject({ code: "40001" });
  });

  test("takes no change that names other values, another version, or that is too old", async () => {
    await approve(ben, await request(ann));
    for (const other of [
      "enabled = true, rollout_percent = 21",
      "enabled = true",
      "enabled = true, rollout_percent = 20, killed = true",
      "enabled = true, rollout_percent = 20, salt = 'x'",
      "enabled = true, rollout_percent = 20, allowlist = '{a}'",
      "enabled = true, rollout_percent = 20, protected = false",
    ]) {
      await expect(as(ann, `UPDATE p3_feature_state SET ${other}`)).rejects.toMatchObject(refused);
    }
    await as(ann, "UPDATE p3_feature_state SET rollout_percent = 4");
    await expect(as(ann, open20)).rejects.toMatchObject(refused);

    const brief = await request(ann, "true, 20, false", ", '1 microsecond'");
    await expect(approve(ben, brief)).rejects.toMatchObject({ code: "SL003" });
    await approve(ben, await request(ann));
    await as(ann, open20);
  });

  test("widens in list, salt and protection where the change names them, and no further", async () => {
    const others = `'{"allowlist": ["a"], "salt": "x", "protected": false}'`;
    await approve(ben, await request(ann, "true, 20, false", `, '1 hour', ${others}`));
    const rest = ", allowlist = '{a}', salt = 'x', protected = false";
    await expect(as(ann, open20)).rejects.toMatchObject(refused);
    await expect(as(ann, `${open20}${rest.replace("{a}", "{a,b}")}`)).rejects.toMatchObject(
      refused,
    );
    await as(ann, `${open20}${rest}`);
    await as(ann, "UPDATE p3_feature_state SET rollout_percent = 100");
  });

  test("has its change approved by another role only, whatever role it plays", async () => {
    const id = await request(ann);
    await expect(approve(ann, id)).rejects.toMatchObject({ code: "SL003" });
    await db.query(`GRANT ${ben} TO ${ann}`);
    await expect(
      as(ann, `SET LOCAL ROLE ${ben}`, `SELECT p3_approve_flag_change(${id})`),
    ).rejects.toMatchObject({ code: "SL003" });
    await expect(approve(eve, id)).rejects.toMatchObject({ code: "42501" });
    await expect(request(eve)).rejects.toMatchObject({ code: "42501" });
    await db.query(`REVOKE ${ben} FROM ${ann}`);
  });

  test("has one open change; a rejected one makes room and is no longer approved", async () => {
    const first = await request(ann);
    await expect(request(ben)).rejects.toMatchObject({ code: "SL003" });
    await approve(ben, first);
    await as(ann, `SELECT p3_reject_flag_change(${first})`);
    await expect(as(ann, open20)).rejects.toMatchObject(refused);
    await expect(approve(ben, first)).rejects.toMatchObject({ code: "SL003" });
    await request(ben);
  });

  test("loses the approval of a change that is edited, and the editor may not approve it", async () => {
    await db.query(`GRANT SELECT, UPDATE ON p3_flag_changes TO ${ben}`);
    const id = await request(ann);
    await approve(ben, id);
    await as(ben, "UPDATE p3_flag_changes SET target_percent = 100");
    await expect(
      as(ann, "UPDATE p3_feature_state SET enabled = true, rollout_percent = 100"),
    ).rejects.toMatchObject(refused);
    await expect(approve(ben, id)).rejects.toMatchObject({ code: "SL003" });
    await expect(
      as(ben, `UPDATE p3_flag_changes SET state = 'approved', approved_by = '${ann}'`),
    ).rejects.toMatchObject({ code: "SL003" });
    await approve(ann, id);
    await as(ben, "UPDATE p3_feature_state SET enabled = true, rollout_percent = 100");
  });

  test("is not fooled by a temporary table of the caller's", async () => {
    await expect(
      as(
        ann,
        "CREATE TEMP TABLE p3_flag_changes AS SELECT 1 AS id, 'f' AS feature_name, 'approved' AS state",
        "SET LOCAL search_path = pg_temp, public",
        open20,
      ),
    ).rejects.toMatchObject(refused);
  });

  test("leaves the plain UPDATE to a role that may do nothing else, where it is not protected", async () => {
    await db.exec(
      `GRANT SELECT, UPDATE ON p3_feature_state TO ${eve};
       INSERT INTO p3_feature_state (feature_name) VALUES ('g');`,
    );
    await as(
      eve,
      "UPDATE p3_feature_state SET enabled = true, rollout_percent = 100 WHERE feature_name = 'g'",
    );
    const { rows } = await db.query(
      "SELECT database_role AS role FROM p3_flag_audit ORDER BY id DESC LIMIT 1",
    );
    expect(rows).toEqual([{ role: eve }]);
    await expect(as(eve, "SELECT * FROM p3_flag_audit")).rejects.toMatchObject({ code: "42501" });
  });
});
