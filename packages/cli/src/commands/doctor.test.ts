import { randomBytes } from "node:crypto";
import { systemClock } from "@sluice/guard";
import { migrate, postgres, sqlNames, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured } from "../run-captured.ts";
import { checkClock } from "./doctor-clock.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

interface Told {
  readonly ok: boolean;
  readonly checks: readonly { readonly check: string; readonly detail: string }[];
}

describe.skipIf(skipped)("doctor", () => {
  let server: TestPostgres;
  let db: SqlDatabase;
  let env: Readonly<Record<string, string>>;

  const doctor = (...options: readonly string[]): Promise<Captured> =>
    runCaptured(["doctor", ...options], { env });
  const check = async (name: string, code: number, settings = env) => {
    const ran = await runCaptured(["doctor", "--json"], { env: settings });
    expect(ran.code).toBe(code);
    return (JSON.parse(ran.out) as Told).checks.find((one) => one.check === name);
  };

  /** As if they had changed a minute ago. */
  const ageFeatures = (where: string): Promise<void> =>
    db.exec(
      `ALTER TABLE feature_state DISABLE TRIGGER USER;
       UPDATE feature_state SET updated_at = now() - interval '1 minute' WHERE ${where};
       ALTER TABLE feature_state ENABLE TRIGGER USER`,
    );

  beforeAll(async () => {
    server = postgresForTests();
    env = { DATABASE_URL: server.connectionString };
    db = postgres({ connectionString: server.connectionString });
  }, 60_000);

  beforeEach(async () => {
    await db.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public;");
    await migrate(db);
  });

  afterAll(async () => {
    await db.close();
    server.drop();
  });

  it("is content where all that ran are the files of this program", async () => {
    expect(await doctor()).toMatchObject({ code: exitCodes.done, err: "" });
    expect(await check("migrated", exitCodes.done)).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/^\d+ migrations in public$/) as string,
      migrations: { missing: [], differing: [], unknown: [] },
    });
  });

  it("names the migrations that are missing, and those that were other files", async () => {
    await db.exec(
      `DELETE FROM sluice_migrations WHERE name = '0005_instances.sql';
       UPDATE sluice_migrations SET checksum = 'x' WHERE name = '0001_flags.sql'`,
    );
    const ran = await doctor();
    expect(ran).toMatchObject({ code: exitCodes.checkFailed });
    expect(ran.out).toMatch(
      /^migrated +no +not applied: 0005_instances\.sql; run sluice migrate; not the files that ran: 0001_flags\.sql$/m,
    );
    expect(ran.err).toBe("sluice: not ready: migrated\n");
    expect(await check("migrated", exitCodes.checkFailed)).toMatchObject({
      migrations: { missing: ["0005_instances.sql"], differing: ["0001_flags.sql"] },
    });
  });

  it("tells that the database is newer, which is no fault", async () => {
    await db.exec("INSERT INTO sluice_migrations (name, checksum) VALUES ('9999_later.sql', 'x')");
    const ran = await doctor();
    expect(ran).toMatchObject({ code: exitCodes.done });
    expect(ran.out).toMatch(
      /^migrated +yes +\d+ migrations in public; newer than this program: 9999_later\.sql$/m,
    );
  });

  it("works for a role that may only change flags", async () => {
    const role = `sluice_cli_${randomBytes(6).toString("hex")}`;
    await db.exec(
      `CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA public TO ${role};
       GRANT SELECT, UPDATE ON feature_state TO ${role}`,
    );
    try {
      const url = new URL(server.connectionString);
      url.username = role;
      const other = { DATABASE_URL: url.href };
      expect(await check("migrated", exitCodes.done, other)).toMatchObject({
        ok: true,
        detail: "tables stand in public; the role may not read which migrations ran",
      });
      expect(await check("processes", exitCodes.done, other)).toMatchObject({
        ok: true,
        detail: "the role may not read which processes live",
      });
    } finally {
      await db.exec(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it("names each living process that is stale or behind, with what it has", async () => {
    await db.exec(
      `INSERT INTO feature_state (feature_name) VALUES ('a'), ('b'), ('c'), ('d'), ('just_changed');
       UPDATE feature_state SET rollout_percent = 1`,
    );
    await ageFeatures("feature_name <> 'just_changed'");
    await db.exec(
      `INSERT INTO sluice_instances (instance_id, application_name, seen_at, applied, lag_ms)
       SELECT id, 'app ' || id, now() + age, applied || '{"just_changed": {"version": 1}}', lag_ms
       FROM (VALUES
         ('fresh', interval '1 minute',
           '{"a": {"version": 2}, "b": {"version": 2}, "c": {"version": 3}, "d": {"version": 2}}'::jsonb, 10),
         ('stale', '1 minute',
           '{"a": {"version": 2}, "b": {"version": 2}, "c": {"version": 2}, "d": {"version": 2}}', 6000.4),
         ('behind', '1 minute', '{"a": {"version": 1}, "b": {"version": 2}, "c": {"version": 2}}', 10),
         ('new', '1 minute', '{}', NULL),
         ('dead', '-1 minute', '{}', NULL)
       ) AS rows (id, age, applied, lag_ms)`,
    );
    const ran = await doctor();
    expect(ran).toMatchObject({ code: exitCodes.checkFailed });
    expect(ran.out).toMatch(/^processes +no +4 alive, 2 with stale flags, 2 behind the table$/m);
    const [, lines = ""] = ran.out.split("\n\n");
    expect(lines).toBe(
      [
        "process  application  stale  lag ms      behind",
        "behind   app behind   no     10          a has 1 of 2, d has none of 2",
        "new      app new      yes    never read  a has none of 2, b has none of 2, c has none of 2, and 1 more",
        "stale    app stale    yes    6000        -",
        "",
      ].join("\n"),
    );
    expect(await check("processes", exitCodes.checkFailed)).toMatchObject({
      alive: 4,
      processes: [
        {
          instanceId: "behind",
          applicationName: "app behind",
          seenAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
          lagMs: 10,
          applied: { a: 1, b: 2, c: 2, just_changed: 1 },
          stale: false,
          behind: [
            { feature: "a", applied: 1, version: 2 },
            { feature: "d", applied: null, version: 2 },
          ],
        },
        {
          instanceId: "fresh",
          lagMs: 10,
          applied: { a: 2, b: 2, c: 3, d: 2, just_changed: 1 },
          stale: false,
          behind: [],
        },
        { instanceId: "new", lagMs: null, applied: { just_changed: 1 }, stale: true },
        { instanceId: "stale", lagMs: 6000.4, stale: true, behind: [] },
      ],
    });
  });

  it("does not take a process for behind that has more features than it can tell of", async () => {
    await db.exec("INSERT INTO feature_state (feature_name) VALUES ('untold')");
    await ageFeatures("true");
    await db.exec(
      `INSERT INTO sluice_instances (instance_id, application_name, seen_at, applied, lag_ms)
       SELECT 'full', 'app', now() + interval '1 minute', jsonb_object_agg('f' || n, '{}'), 10
       FROM generate_series(1, 1000) AS n`,
    );
    expect(await check("processes", exitCodes.done)).toMatchObject({
      ok: true,
      alive: 1,
      processes: [{ instanceId: "full", stale: false, behind: [], applied: {} }],
    });
  });

  it("lists 100 of all as JSON, from the newest beat, and leaves out none in trouble", async () => {
    await db.exec(
      `INSERT INTO sluice_instances (instance_id, application_name, seen_at, applied, lag_ms)
       SELECT 'process-' || n, 'app', now() + interval '5 minutes' - n * interval '1 second',
         '{"f": {"version": 7}}', CASE n WHEN 120 THEN 6000 ELSE 10 END
       FROM generate_series(1, 120) AS n`,
    );
    const ids = [...Array.from({ length: 99 }, (_, at) => at + 1), 120];
    expect(await check("processes", exitCodes.checkFailed)).toMatchObject({
      detail: "120 alive, 1 with stale flags, 0 behind the table",
      alive: 120,
      processes: ids.map((id) => ({ instanceId: `process-${id}`, stale: id === 120 })),
    });
    expect((await doctor()).out.split("\n\n")[1]?.match(/^process-\d+/gm)).toEqual(["process-120"]);
  });

  it("says by how much the server's clock is another, which is no fault", async () => {
    const session = { db, names: sqlNames(), nameOptions: {} };
    const shifted = (aheadMs: number) =>
      checkClock(session, { ...systemClock, wallMs: () => Date.now() + aheadMs });
    expect(await shifted(0)).toMatchObject({ ok: true, detail: "within 1 s of this machine's" });
    expect(await shifted(3_600_000)).toMatchObject({
      ok: true,
      detail: expect.stringMatching(
        /^the server's is 3(?:599|600)\.\d s behind this machine's$/,
      ) as string,
    });
    expect(await shifted(-90_000)).toMatchObject({
      detail: expect.stringMatching(
        /^the server's is (?:89|90)\.\d s ahead of this machine's$/,
      ) as string,
    });
  });
});
