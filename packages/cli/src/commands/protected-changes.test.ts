import { randomBytes } from "node:crypto";
import { migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured } from "../run-captured.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

interface Change {
  readonly id: number;
  readonly others: unknown;
  readonly sql: string;
}

function expectRefused(ran: Captured, line: RegExp): void {
  expect(ran).toMatchObject({ code: exitCodes.refused, out: "" });
  expect(ran.err).toMatch(line);
  expect(ran.err.trimEnd().split("\n")).toHaveLength(1);
}

describe.skipIf(skipped)("a protected feature, by two who may change flags and no more", () => {
  let server: TestPostgres;
  let db: SqlDatabase;
  const suffix = randomBytes(6).toString("hex");
  const [ann, ben] = [`sluice_ann_${suffix}`, `sluice_ben_${suffix}`];

  const as = (role: string, ...argv: readonly string[]): Promise<Captured> => {
    const url = new URL(server.connectionString);
    url.username = role;
    return runCaptured(argv, { env: { DATABASE_URL: url.href } });
  };
  const done = async (role: string, ...argv: readonly string[]): Promise<unknown> => {
    const ran = await as(role, ...argv, "--json");
    expect(ran).toMatchObject({ code: exitCodes.done, err: "" });
    return JSON.parse(ran.out);
  };
  const needsChange = /f is protected: widening it needs an approved change.*sluice change request/;
  /** Ann asks and Ben approves. */
  const agree = async (...targets: readonly string[]): Promise<Change> => {
    const asked = (await done(
      ann,
      "change",
      "request",
      "f",
      ...targets,
      "--reason",
      "r",
    )) as Change;
    return (await done(ben, "change", "approve", String(asked.id))) as Change;
  };
  const insert = (columns: string, values: string) =>
    db.exec(
      `INSERT INTO feature_state (feature_name, protected, ${columns}) VALUES ('f', true, ${values})`,
    );

  beforeAll(async () => {
    server = postgresForTests();
    db = postgres({ connectionString: server.connectionString });
    await db.exec(`CREATE ROLE ${ann} LOGIN; CREATE ROLE ${ben} LOGIN`);
  }, 60_000);

  beforeEach(async () => {
    await db.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public;");
    await migrate(db);
    await db.exec(
      `GRANT USAGE ON SCHEMA public TO ${ann}, ${ben};
       GRANT SELECT, INSERT, UPDATE ON feature_state TO ${ann}, ${ben};
       GRANT SELECT ON flag_changes TO ${ann}, ${ben}`,
    );
  });

  afterAll(async () => {
    await db.exec(`DROP OWNED BY ${ann}, ${ben}; DROP ROLE ${ann}; DROP ROLE ${ben}`);
    await db.close();
    server.drop();
  });

  it("a list grows by flags allow with the approved ids, in whatever order", async () => {
    await insert("allowlist", "'{a}'");
    const allow = ["flags", "allow", "f", "b", "a", "c", "--yes"];
    expectRefused(await as(ann, ...allow), needsChange);
    const change = await agree("--allowlist", "c", "a", "b", "a");
    expect(change.others).toEqual({ allowlist: ["a", "b", "c"] });
    const listed = await as(ben, "change", "list");
    expect(listed.out).toMatch(/^\d+ +f +approved .*allowlist \["a","b","c"\]/m);
    expectRefused(await as(ann, "flags", "allow", "f", "a", "d", "--yes"), needsChange);
    expect(await as(ann, ...allow.slice(0, -1))).toMatchObject({ code: exitCodes.notConfirmed });
    expect(await done(ann, ...allow)).toMatchObject({ allowlist: ["a", "b", "c"], percent: 0 });
    expect(await done(ann, "change", "list", "--all")).toMatchObject([{ state: "applied" }]);
    expectRefused(await as(ann, "flags", "allow", "f", "a", "b", "c", "d", "--yes"), needsChange);
    await done(ben, "flags", "allow", "f", "a");
  });

  it("a list goes by flags allow --clear", async () => {
    await insert("allowlist", "'{a}'");
    expectRefused(await as(ann, "flags", "allow", "f", "--clear", "--yes"), needsChange);
    expect((await agree("--no-allowlist")).others).toEqual({ allowlist: null });
    expect((await as(ben, "change", "list")).out).toMatch(/no allowlist/);
    expect(await done(ann, "flags", "allow", "f", "--clear", "--yes")).toMatchObject({
      allowlist: null,
    });
  });

  it("the salt is set by flags salt, to what was approved", async () => {
    await insert("salt", "NULL");
    expectRefused(await as(ann, "flags", "salt", "f", "it's", "--yes"), needsChange);
    expect((await agree("--salt", "it's")).others).toEqual({ salt: "it's" });
    expectRefused(await as(ann, "flags", "salt", "f", "its", "--yes"), needsChange);
    expect(await done(ann, "flags", "salt", "f", "it's", "--yes")).toMatchObject({ salt: "it's" });
    await done(ann, "flags", "salt", "f", "it's");
  });

  it("protecting is never asked about, and unprotecting needs an approved change", async () => {
    await done(ann, "flags", "set", "f", "--create", "--percent", "0");
    expect(await done(ann, "flags", "set", "f", "--protected", "true")).toMatchObject({
      protected: true,
    });
    const unprotect = ["flags", "set", "f", "--protected", "false"];
    const asked = await as(ann, ...unprotect);
    expect(asked).toMatchObject({ code: exitCodes.notConfirmed });
    expect(asked.err).toMatch(/protected: yes -> no/);
    expectRefused(await as(ann, ...unprotect, "--yes"), needsChange);
    expect((await agree("--protected", "false")).others).toEqual({ protected: false });
    expect(await done(ann, ...unprotect, "--yes")).toMatchObject({ protected: false });
    await done(ann, "flags", "set", "f", "--enabled", "true", "--percent", "100", "--yes");
  });

  it("a feature can be made protected, and then begins closed", async () => {
    const create = ["flags", "set", "f", "--create", "--protected", "true"];
    expectRefused(
      await as(ann, ...create, "--enabled", "true", "--percent", "1", "--yes"),
      /must begin closed/,
    );
    expect(await done(ann, ...create)).toMatchObject({ protected: true, enabled: false });
  });

  it("change apply sets all that a change names, once, and asks first", async () => {
    await insert("killed, allowlist", "true, '{a}'");
    const columns = ["--enabled", "true", "--percent", "20", "--killed", "false"];
    const others = ["--allowlist", "a", "o'brien\\", "--salt", "x", "--protected", "false"];
    const { id, sql } = await agree(...columns, ...others);
    expect(sql).toMatch(/^UPDATE .* salt = 'x', protected = false WHERE feature_name = 'f';$/);
    const apply = ["change", "apply", String(id)];
    const asked = await as(ann, ...apply);
    expect(asked).toMatchObject({ code: exitCodes.notConfirmed });
    expect(asked.err).toMatch(/enabled: no -> yes; percent: 0 -> 20; killed: yes -> no/);
    expect(await done(ann, ...apply, "--yes")).toMatchObject({
      enabled: true,
      percent: 20,
      killed: false,
      allowlist: ["a", "o'brien\\"],
      salt: "x",
      protected: false,
    });
    expectRefused(await as(ann, ...apply, "--yes"), /is applied, not approved/);
    const missing = await as(ann, "change", "apply", "999999");
    expect(missing).toMatchObject({ code: exitCodes.notFound });
  });

  it("the statement that approve prints applies the change in psql", async () => {
    await insert("allowlist", "'{a}'");
    const { sql } = await agree("--percent", "5", "--allowlist", "a", "o'brien\\", "--salt", "\t'");
    await db.exec(sql);
    expect(await done(ann, "flags", "get", "f")).toMatchObject({
      percent: 5,
      allowlist: ["a", "o'brien\\"],
      salt: "\t'",
    });
  });

  it("a change is not applied before it is approved, nor when the row has changed", async () => {
    await insert("rollout_percent", "50");
    const request = ["change", "request", "f", "--enabled", "true", "--reason", "r"];
    const asked = (await done(ann, ...request)) as Change;
    const apply = ["change", "apply", String(asked.id), "--yes"];
    expectRefused(await as(ann, ...apply), /is requested, not approved/);
    await done(ben, "change", "approve", String(asked.id));
    await done(ben, "flags", "set", "f", "--percent", "10");
    expectRefused(await as(ann, ...apply), needsChange);
  });

  it("a change of a feature that is not protected is not applied", async () => {
    await done(ann, "flags", "set", "f", "--create", "--percent", "0");
    const { id } = await agree("--percent", "5");
    expectRefused(await as(ann, "change", "apply", String(id), "--yes"), /f is not protected/);
    expect(await done(ann, "flags", "get", "f")).toMatchObject({ percent: 0 });
  });
});

it.each([
  [["--minutes", "43201"], /1 to 43200/],
  [["--minutes", "0"], /1 to 43200/],
  [["--protected", "maybe"], /true or false/],
  [["--allowlist", ""], /an id/],
  [["--salt", "a\0"], /NUL/],
  [[], /nothing to change/],
])("change request %j is wrong usage", async (options, line) => {
  const ran = await runCaptured(["change", "request", "f", "--reason", "r", ...options]);
  expect(ran).toMatchObject({ code: exitCodes.usage, out: "" });
  expect(ran.err).toMatch(line);
});
