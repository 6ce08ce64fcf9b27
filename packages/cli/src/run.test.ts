import { randomBytes } from "node:crypto";
import { systemClock } from "@sluice/guard";
import { migrate, postgres, sqlFlags, sqlInstance, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { exitCodes } from "./exit-codes.ts";
import { runCaptured, type Captured, type CaptureSettings } from "./run-captured.ts";
import { run } from "./run.ts";

function expectFailure(ran: Captured, code: number, line: RegExp): void {
  expect(ran).toMatchObject({ code, out: "" });
  expect(ran.err).toMatch(line);
  expect(ran.err.trimEnd().split("\n")).toHaveLength(1);
}

describe("without a database", () => {
  it("an unknown command, a malformed value or no URL is wrong usage, in one line", async () => {
    expectFailure(await runCaptured(["flog"]), exitCodes.usage, /^sluice: unknown command 'flog'/);
    expectFailure(
      await runCaptured(["flags", "lst"]),
      exitCodes.usage,
      /^sluice: unknown command 'lst'/,
    );
    expectFailure(await runCaptured(["flags", "list", "--loud"]), exitCodes.usage, /--loud/);
    for (const percent of ["101", "-1", "5.5", "", "1e1", "null"]) {
      expectFailure(
        await runCaptured(["flags", "set", "f", `--percent=${percent}`]),
        exitCodes.usage,
        /0 to 100/,
      );
    }
    expectFailure(
      await runCaptured(["flags", "set", "f", "--enabled", "yes"]),
      exitCodes.usage,
      /true or false/,
    );
    expectFailure(await runCaptured(["flags", "set", "f"]), exitCodes.usage, /nothing to set/);
    for (const given of [[], ["a", "--clear"], ["a", "--nobody"], ["--clear", "--nobody"]]) {
      const ran = await runCaptured(["flags", "allow", "f", ...given]);
      expectFailure(ran, exitCodes.usage, /ids, --clear or --nobody/);
    }
    expectFailure(await runCaptured(["kill", "a\0b"]), exitCodes.usage, /NUL/);
    expectFailure(
      await runCaptured(["audit", "verify", "--anchor", "x"]),
      exitCodes.usage,
      /id:hash/,
    );
    expectFailure(
      await runCaptured(["flags", "list"]),
      exitCodes.usage,
      /--database-url or DATABASE_URL/,
    );
    const named = ["--database-url", "postgresql://127.0.0.1:1/x", "flags", "list"];
    expectFailure(await runCaptured([...named, "--schema", 'a"b']), exitCodes.usage, /schema/);
  });

  it("a URL that is none is not shown", async () => {
    const ran = await runCaptured(["flags", "list"], { env: { DATABASE_URL: "pa55word@host" } });
    expectFailure(ran, exitCodes.usage, /URL \(not shown\)/);
    expect(ran.err).not.toContain("pa55word");
  });

  it("a database that can't be reached is told without the password", async () => {
    for (const url of [
      "postgresql://me:pa55word@127.0.0.1:1/x",
      "postgresql://me:pa55word@nowhere.invalid/x",
    ]) {
      const ran = await runCaptured(["flags", "list"], { env: { DATABASE_URL: url } });
      expectFailure(ran, exitCodes.unreachable, /^sluice: the database can't be reached/);
      expect(ran.err).not.toContain("pa55word");
    }
  });

  it("what nobody foresaw is an internal error, not a rejection", async () => {
    let err = "";
    const code = await run({
      argv: ["flags", "list", "--database-url", "postgresql://host/x"],
      env: {},
      out: () => undefined,
      err: (text) => {
        err += text;
      },
      isTty: false,
      open: () => {
        throw new TypeError("odd");
      },
    });
    expect(code).toBe(exitCodes.internal);
    expect(err).toBe("sluice: internal error (TypeError): odd\n");
  });

  it("help has examples and the exit codes, without colours", async () => {
    const ran = await runCaptured(["--help"]);
    expect(ran).toMatchObject({ code: exitCodes.done, err: "" });
    expect(ran.out).toContain("Examples:");
    expect(ran.out).toMatch(/^ +6 {2}not confirmed/m);
    expect(ran.out).not.toContain("\u001b");
    expect((await runCaptured(["flags", "set", "--help"])).out).toContain(
      "sluice flags set slotgen_ai",
    );
  });
});

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("on PostgreSQL", () => {
  let server: TestPostgres;
  let db: SqlDatabase;
  let env: Readonly<Record<string, string>>;
  // Another's role: it may change flags, as a colleague of who runs the tests.
  const role = `sluice_cli_${randomBytes(6).toString("hex")}`;

  const urlAs = (user: string): string => {
    const url = new URL(server.connectionString);
    url.username = user;
    url.password = "pa55word";
    return url.href;
  };
  const done = async (argv: readonly string[], settings: CaptureSettings = {}): Promise<string> => {
    const ran = await runCaptured(argv, { env, ...settings });
    expect(ran).toMatchObject({ code: exitCodes.done });
    return ran.out;
  };
  const json = async (argv: readonly string[], settings: CaptureSettings = {}): Promise<unknown> =>
    JSON.parse(await done([...argv, "--json"], settings));
  const because = async (feature: string) =>
    ((await json(["bucket", feature, "user-1"])) as { because: string }).because;
  const insert = (feature: string, columns = "", values = "") =>
    db.query(
      `INSERT INTO feature_state (feature_name${columns === "" ? "" : `, ${columns}`}) VALUES ($1${values === "" ? "" : `, ${values}`})`,
      [feature],
    );

  beforeAll(async () => {
    server = postgresForTests();
    env = { DATABASE_URL: server.connectionString };
    db = postgres({ connectionString: server.connectionString });
    await migrate(db);
    await db.exec(
      `CREATE ROLE ${role} LOGIN PASSWORD 'pa55word'; GRANT SELECT, UPDATE ON feature_state, flag_changes TO ${role}`,
    );
  }, 60_000);

  afterAll(async () => {
    await db.exec(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await db.close();
    server.drop();
  });

  it("migrate says what it applied, and nothing the second time", async () => {
    expect(await done(["migrate"])).toBe("up to date\n");
    expect(await json(["migrate"])).toEqual({ applied: [] });
  });

  it("tables of another schema and prefix are apart", async () => {
    const named = ["--schema", "app", "--prefix", "p3_", "--flag-table", "p3_flags"];
    expect(await done(["migrate", ...named])).toContain("applied 0001_flags.sql\n");
    await done(["flags", "set", "apart", "--create", "--percent", "0", ...named]);
    const variables = {
      env: { ...env, SLUICE_SCHEMA: "app", SLUICE_PREFIX: "p3_", SLUICE_FLAG_TABLE: "p3_flags" },
    };
    expect(await json(["flags", "list"], variables)).toMatchObject([{ feature: "apart" }]);
    expect(await json(["flags", "list"])).not.toContainEqual(
      expect.objectContaining({ feature: "apart" }),
    );
    expect(await json(["audit", "verify"], variables)).toMatchObject({ ok: true });
    expectFailure(
      await runCaptured(["flags", "list", "--schema", "nowhere"], { env }),
      exitCodes.notFound,
      /sluice migrate/,
    );
  });

  it("features are listed and shown, as a table and as JSON", async () => {
    await insert("listed", "enabled, rollout_percent, allowlist", "true, 5, '{a,b}'");
    const lines = (await done(["flags", "list"])).split("\n");
    expect(lines[0]).toMatch(/^feature +state +enabled +percent +killed +allowlist +salt/);
    expect(lines.find((line) => line.startsWith("listed"))).toMatch(
      /^listed +partly open +yes +5 +no +2 listed +- +no +1$/,
    );
    expect(await done(["flags", "get", "listed"])).toMatch(/^allowlist +\["a","b"\]$/m);
    expect(await json(["flags", "get", "listed"])).toEqual({
      feature: "listed",
      enabled: true,
      percent: 5,
      killed: false,
      allowlist: ["a", "b"],
      salt: null,
      protected: false,
      version: 1,
      updatedAt: expect.any(String) as string,
    });
  });

  it("an unknown feature is never inserted, whatever SQL its name holds", async () => {
    const name = "x'; DROP TABLE feature_state; --";
    for (const argv of [
      ["flags", "get", name],
      ["flags", "set", name, "--percent", "0"],
      ["flags", "allow", name, "a"],
      ["flags", "salt", name, "s"],
      ["kill", name],
      ["restore", name],
      ["bucket", name, "a"],
      ["change", "request", name, "--percent", "1", "--reason", "r"],
    ]) {
      const failed = await runCaptured(argv, { env });
      expectFailure(failed, exitCodes.notFound, /no such feature/);
    }
    expect(await json(["flags", "list"])).not.toContainEqual(
      expect.objectContaining({ feature: name }),
    );
    expectFailure(
      await runCaptured(["flags", "set", name, "--create", "--percent", "0"], { env }),
      exitCodes.usage,
      /feature/,
    );
  });

  it("widening needs a yes: by option, or on a terminal", async () => {
    await insert("widens", "enabled", "true");
    const argv = ["flags", "set", "widens", "--percent", "30"];
    expectFailure(
      await runCaptured(argv, { env }),
      exitCodes.notConfirmed,
      /this widens widens \(percent: 0 -> 30\); say so with --yes/,
    );
    for (const answer of ["n\n", "\n", "", "yess\n"]) {
      const refused = await runCaptured(argv, { env, answer });
      expect(refused).toMatchObject({ code: exitCodes.notConfirmed, out: "" });
    }
    expect(await json(["flags", "get", "widens"])).toMatchObject({ percent: 0, version: 1 });
    expect(await json(argv, { answer: "y\n" })).toMatchObject({ percent: 30, version: 2 });
    expect(await json(["flags", "set", "widens", "--percent", "40", "--yes"])).toMatchObject({
      percent: 40,
    });
    for (const widening of [
      ["flags", "salt", "widens", "other"],
      ["flags", "set", "fresh", "--create", "--percent", "1"],
    ]) {
      expect(await runCaptured(widening, { env })).toMatchObject({ code: exitCodes.notConfirmed });
    }
  });

  it("what changed while the question stood is asked anew", async () => {
    await insert("raced", "enabled, rollout_percent", "true, 60");
    const stdin = (async function* () {
      await db.query("UPDATE feature_state SET rollout_percent = 10 WHERE feature_name = 'raced'");
      yield "y\n";
      yield "n\n";
    })();
    let err = "";
    const code = await run({
      argv: ["flags", "set", "raced", "--percent", "70"],
      env,
      stdin,
      out: () => undefined,
      err: (text) => {
        err += text;
      },
      isTty: true,
      open: postgres,
    });
    expect(code).toBe(exitCodes.notConfirmed);
    expect(err).toMatch(/60 -> 70.*10 -> 70/s);
    expect(await json(["flags", "get", "raced"])).toMatchObject({ percent: 10 });
  });

  it("a kill tells how many processes have applied it", async () => {
    await insert("fleet", "enabled, rollout_percent", "true, 100");
    expect(await done(["kill", "fleet"])).toMatch(/^no process reports to this database$/m);
    await done(["restore", "fleet", "--yes"]);

    const flags = sqlFlags(db, { clock: systemClock, random: Math.random });
    await flags.ready();
    const instance = sqlInstance(db, { clock: systemClock, instanceId: "one", flags });
    onTestFinished(async () => {
      flags.close();
      await instance.close();
    });
    await vi.waitFor(async () => {
      const { rows } = await db.query("SELECT FROM sluice_instances WHERE applied ? 'fleet'");
      expect(rows).toHaveLength(1);
    }, 5000);
    expect(await done(["kill", "fleet"])).toMatch(
      /^1 of 1 processes applied version \d+ in \d+ ms$/m,
    );
    await done(["restore", "fleet", "--yes"]);
    expect(await json(["kill", "fleet"])).toMatchObject({
      killed: true,
      fleet: { alive: 1, applied: 1, complete: true },
    });
  });

  it("narrowing and killing never ask, and restoring does", async () => {
    await insert("narrows", "enabled, rollout_percent, allowlist", "true, 50, '{a,b}'");
    await done(["flags", "set", "narrows", "--percent", "20"]);
    await done(["flags", "allow", "narrows", "a"]);
    await insert("nobodys", "enabled, rollout_percent", "true, 50");
    expect(await json(["flags", "allow", "nobodys", "--nobody"])).toMatchObject({ allowlist: [] });
    expect(await done(["flags", "allow", "nobodys", "--nobody"])).toMatch(/ 0 listed /);
    expect(await json(["kill", "narrows", "--reason", "it lies"])).toMatchObject({
      enabled: true,
      killed: true,
      percent: 20,
      allowlist: ["a"],
    });
    expect(await done(["kill", "narrows"])).toMatch(/^narrows +killed/m);
    expectFailure(
      await runCaptured(["restore", "narrows"], { env }),
      exitCodes.notConfirmed,
      /killed: yes -> no/,
    );
    expect(await json(["restore", "narrows", "--yes"])).toMatchObject({ killed: false });
    expectFailure(
      await runCaptured(["flags", "allow", "narrows", "a", "c"], { env }),
      exitCodes.notConfirmed,
      /allowlist: 1 more/,
    );
    expect(await runCaptured(["flags", "allow", "narrows", "--clear"], { env })).toMatchObject({
      code: exitCodes.notConfirmed,
    });
    expect(await json(["flags", "allow", "narrows", "--clear", "--yes"])).toMatchObject({
      allowlist: null,
    });
  });

  it("a feature is made with --create", async () => {
    const argv = [
      "flags",
      "set",
      "made",
      "--create",
      "--enabled",
      "true",
      "--percent",
      "5",
      "--yes",
    ];
    expect(await json(argv)).toMatchObject({ enabled: true, percent: 5, version: 1 });
    expect(await json(["flags", "set", "made", "--create", "--percent", "4"])).toMatchObject({
      percent: 4,
      version: 2,
    });
  });

  it("a flag table with three columns can be killed", async () => {
    await db.exec(
      `CREATE SCHEMA foreign_table;
       CREATE TABLE foreign_table.feature_state (feature_name text PRIMARY KEY, enabled boolean, rollout_percent integer);
       INSERT INTO foreign_table.feature_state VALUES ('three', true, 50)`,
    );
    const named = ["--schema", "foreign_table"];
    expect(await json(["kill", "three", ...named])).toMatchObject({ enabled: false, percent: 0 });
    expectFailure(
      await runCaptured(["flags", "salt", "three", "s", "--yes", ...named], { env }),
      exitCodes.notFound,
      /no column salt/,
    );
  });

  it.each([
    ["plain", null, "user-42"],
    ["quotes", "it's", "o'brien\\'; SELECT 1; --"],
    ["empty_salt", "", "日本語🙂"],
    ["two_lines", "a\nb", "e\u0301\u202e\u{e0041}"],
  ])("the SQL that bucket prints gives its bucket (%s)", async (feature, salt, subject) => {
    await db.query(
      "INSERT INTO feature_state (feature_name, enabled, rollout_percent, salt) VALUES ($1, true, 100, $2)",
      [feature, salt],
    );
    const told = (await json(["bucket", feature, subject])) as { bucket: number; sql: string };
    expect(told).toMatchObject({ feature, subject, in: true });
    expect(told.sql).not.toMatch(/\n/);
    const { rows } = await db.query<{ bucket: number }>(told.sql);
    expect(rows).toEqual([{ bucket: told.bucket }]);
    expect(await done(["bucket", feature, subject])).toContain(`bucket   ${String(told.bucket)}\n`);
  });

  it("bucket says why a subject is out", async () => {
    await insert("why", "enabled, rollout_percent", "true, 100");
    expect(await because("why")).toMatch(/^bucket \d+ < 100 percent$/);
    await done(["flags", "allow", "why", "user-2", "--yes"]);
    expect(await because("why")).toBe("the subject is not on the allowlist");
    await done(["flags", "set", "why", "--percent", "0"]);
    expect(await because("why")).toBe("the feature is at 0 percent");
    await done(["flags", "set", "why", "--enabled", "false"]);
    expect(await because("why")).toBe("the feature is not enabled");
    await done(["kill", "why"]);
    expect(await because("why")).toBe("the feature is killed");
    expectFailure(
      await runCaptured(["bucket", "why", ""], { env }),
      exitCodes.usage,
      /never eligible/,
    );
  });

  it("a protected feature widens only by a change that another role approved", async () => {
    await insert("guarded", "protected", "true");
    const widen = ["flags", "set", "guarded", "--enabled", "true", "--percent", "5", "--yes"];
    expectFailure(await runCaptured(widen, { env }), exitCodes.refused, /guarded is protected/);
    const request = ["change", "request", "guarded", "--enabled", "true", "--percent", "5"];
    expectFailure(await runCaptured(request, { env }), exitCodes.usage, /--reason/);
    const asked = (await json([...request, "--reason", "evals are green"])) as { id: number };
    expect(asked).toMatchObject({ state: "requested", percent: 5, enabled: true, killed: false });
    expectFailure(
      await runCaptured([...request, "--reason", "again"], { env }),
      exitCodes.refused,
      /open change already/,
    );
    const id = String(asked.id);
    expectFailure(
      await runCaptured(["change", "approve", id], { env }),
      exitCodes.refused,
      /another role/,
    );
    const other = { env: { DATABASE_URL: urlAs(role) } };
    const approved = (await json(["change", "approve", id], other)) as { sql: string };
    expect(approved).toMatchObject({ state: "approved", approvedBy: role });
    expect(approved.sql).toContain(`UPDATE "public"."feature_state" SET enabled = true`);
    expect(await done(["change", "list", "--feature", "guarded"])).toMatch(
      new RegExp(`^${id} +guarded +approved`, "m"),
    );
    expect(await json(widen)).toMatchObject({ enabled: true, percent: 5 });
    expect(await json(["change", "list", "--feature", "guarded"])).toEqual([]);
    expect(await json(["change", "list", "--feature", "guarded", "--all"])).toMatchObject([
      { state: "applied" },
    ]);
    await done(["kill", "guarded"]);
  });

  it("a change is rejected, and one that is not there is not found", async () => {
    await insert("turned_down", "protected", "true");
    const request = ["change", "request", "turned_down", "--percent", "5", "--reason", "why not"];
    const { id } = (await json(request)) as { id: number };
    expect(await done(["change", "reject", String(id)])).toMatch(/turned_down +rejected/);
    expectFailure(
      await runCaptured(["change", "reject", String(id)], { env }),
      exitCodes.refused,
      /not open/,
    );
    expectFailure(
      await runCaptured(["change", "approve", "999999"], { env }),
      exitCodes.notFound,
      /no such change/,
    );
  });

  it("the audit has who, from where and why, and verify finds a changed or removed row", async () => {
    await insert("audited");
    await done(["kill", "audited", "--reason", "it's o'clock\nforged line"]);
    const [last] = (await json(["audit", "tail", "-n", "1"])) as unknown[];
    expect(last).toMatchObject({
      feature: "audited",
      action: "UPDATE",
      application: "sluice-cli",
      reason: "it's o'clock\nforged line",
      oldRow: { killed: false },
      newRow: { killed: true },
    });
    const human = await done(["audit", "tail", "-n", "1"]);
    expect(human).toContain("killed false -> true");
    expect(human.trimEnd().split("\n")).toHaveLength(2);

    const anchor = (await done(["audit", "anchor"])).trim();
    expect(anchor).toMatch(/^\d+:[0-9a-f]{64}$/);
    expect(await json(["audit", "anchor"])).toEqual({
      id: anchor.split(":")[0],
      hash: anchor.split(":")[1],
    });
    expect(await done(["audit", "verify", "--anchor", anchor])).toMatch(/^whole: \d+ rows/);
    const elsewhere = `${anchor.split(":")[0] ?? ""}:${"0".repeat(64)}`;
    const told = await runCaptured(["audit", "verify", "--anchor", elsewhere], { env });
    expectFailure(told, exitCodes.checkFailed, /not whole/);

    await db.exec(
      "ALTER TABLE flag_audit DISABLE TRIGGER USER; UPDATE flag_audit SET reason = 'x' WHERE id = 2",
    );
    try {
      const altered = await runCaptured(["audit", "verify", "--json"], { env });
      expect(altered).toMatchObject({ code: exitCodes.checkFailed });
      expect(JSON.parse(altered.out)).toEqual({ ok: false, at: "2", problem: "altered" });
      expect(altered.err).toMatch(/row 2: altered/);
    } finally {
      await db.exec(
        "UPDATE flag_audit SET reason = NULL WHERE id = 2; ALTER TABLE flag_audit ENABLE TRIGGER USER",
      );
    }
  });

  it("doctor says what works, and exits 1 where something does not", async () => {
    expect(await json(["doctor"])).toMatchObject({
      ok: true,
      checks: [
        { check: "connect", ok: true },
        { check: "migrated", ok: true },
        { check: "writable", ok: true },
        { check: "listen", ok: true },
        { check: "clock", ok: true },
        { check: "processes", ok: true, detail: expect.stringMatching(/^\d+ alive, 0/) as string },
      ],
    });
    const ran = await runCaptured(["doctor", "--schema", "nowhere"], { env });
    expect(ran).toMatchObject({ code: exitCodes.checkFailed });
    expect(ran.out).toMatch(/^migrated +no +missing in nowhere: feature_state/m);
    expect(ran.err).toBe("sluice: not ready: migrated, writable\n");
  });

  it("a role without rights is refused, and a database that is not there can't be reached", async () => {
    await db.exec(`REVOKE UPDATE ON feature_state FROM ${role}`);
    const other = { env: { DATABASE_URL: urlAs(role) } };
    await insert("no_rights");
    expectFailure(
      await runCaptured(["kill", "no_rights"], other),
      exitCodes.refused,
      /permission denied/,
    );
    await db.exec(`GRANT UPDATE ON feature_state TO ${role}`);
    const url = new URL(server.connectionString);
    url.pathname = "/sluice_no_such_database";
    expectFailure(
      await runCaptured(["flags", "list", "--database-url", url.href], { env }),
      exitCodes.unreachable,
      /does not exist/,
    );
    expectFailure(
      await runCaptured(["flags", "list"], { env: { DATABASE_URL: urlAs("sluice_nobody") } }),
      exitCodes.unreachable,
      /sluice_nobody/,
    );
  });
});
