import { randomBytes } from "node:crypto";
import { migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured, type CaptureSettings } from "../run-captured.ts";

function expectFailure(ran: Captured, code: number, line: RegExp): void {
  expect(ran).toMatchObject({ code, out: "" });
  expect(ran.err).toMatch(line);
  expect(ran.err.trimEnd().split("\n")).toHaveLength(1);
}

describe("without a database", () => {
  it.each([
    [["--weight=-1"], /--weight.*0 to 1000000/],
    [["--weight", "1000001"], /--weight.*0 to 1000000/],
    [["--weight", "1.5"], /--weight/],
    [["--timeout-ms", "0"], /--timeout-ms.*1 to 600000/],
    [["--timeout-ms", "null"], /--timeout-ms/],
    [["--max-retries", "11"], /--max-retries.*0 to 10/],
    [["--position", "1e3"], /--position/],
    [["--position", "99999999999"], /--position/],
    [["--enabled", "yes"], /--enabled.*true or false/],
    [["--model", ""], /--model.*1 to 128 characters/],
    [["--model", "two\nlines"], /--model.*one line/],
    [["--prompt-template-version", "x".repeat(129)], /--prompt-template-version/],
    [["--environment", "\0", "--enabled", "false"], /--environment/],
    [[], /nothing to set/],
    [["--create"], /nothing to set/],
  ])("providers set %j is wrong usage, and the line names the option", async (options, line) => {
    expectFailure(await runCaptured(["providers", "set", "custom", ...options]), 2, line);
  });
});

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("on PostgreSQL", () => {
  let server: TestPostgres;
  let db: SqlDatabase;
  let env: Readonly<Record<string, string>>;

  const done = async (argv: readonly string[], settings: CaptureSettings = {}): Promise<string> => {
    const ran = await runCaptured(["providers", ...argv], { env, ...settings });
    expect(ran).toMatchObject({ code: exitCodes.done, err: "" });
    return ran.out;
  };
  const json = async (argv: readonly string[]): Promise<unknown> =>
    JSON.parse(await done([...argv, "--json"]));
  const fails = async (argv: readonly string[]) => runCaptured(["providers", ...argv], { env });

  beforeAll(async () => {
    server = postgresForTests();
    env = { DATABASE_URL: server.connectionString };
    db = postgres({ connectionString: server.connectionString });
    await migrate(db);
  }, 60_000);

  beforeEach(async () => {
    await db.exec(
      `DELETE FROM ai_provider_configs;
       INSERT INTO ai_provider_configs (environment, provider, enabled, is_default, position)
       VALUES ('prod', 'openai', true, true, 0), ('prod', 'custom', true, false, 1),
         ('test', 'custom', false, false, 0)`,
    );
  });

  afterAll(async () => {
    await db.close();
    server.drop();
  });

  it("providers are listed in the order of the route, as a table and as JSON", async () => {
    const lines = (await done(["list"])).split("\n");
    expect(lines[0]).toMatch(/^environment +provider +enabled +default +weight +timeout ms/);
    expect(lines[1]).toMatch(/^prod +openai +yes +yes +1 +- +- +- +- +0 +1$/);
    expect(lines).toHaveLength(5);
    expect(await json(["list", "--environment", "test"])).toEqual([
      {
        environment: "test",
        provider: "custom",
        enabled: false,
        isDefault: false,
        weight: 1,
        timeoutMs: null,
        maxRetries: null,
        model: null,
        promptTemplateVersion: null,
        position: 0,
        version: 1,
        updatedAt: expect.any(String) as string,
      },
    ]);
    expect(await done(["list", "--environment", "nowhere"])).toBe("none\n");
  });

  it("what is named is set, in one environment, and what is not named stays", async () => {
    const settings = [
      ["--weight", "0"],
      ["--timeout-ms", "3000"],
      ["--max-retries", "2"],
      ["--prompt-template-version", "it's v2"],
      ["--position=-5"],
    ].flat();
    expect(await json(["set", "custom", ...settings])).toMatchObject({
      environment: "prod",
      enabled: true,
      weight: 0,
      timeoutMs: 3000,
      maxRetries: 2,
      promptTemplateVersion: "it's v2",
      position: -5,
      version: 2,
    });
    const cleared = ["--timeout-ms", "none", "--max-retries", "none"];
    expect(
      await json(["set", "custom", ...cleared, "--prompt-template-version", "none"]),
    ).toMatchObject({ timeoutMs: null, maxRetries: null, promptTemplateVersion: null, weight: 0 });
    expect(await json(["list", "--environment", "test"])).toMatchObject([{ version: 1 }]);
  });

  it("the default moves in one transaction, and never to two", async () => {
    expect(await done(["set", "custom", "--default", "--yes"])).toMatch(/^prod +custom +yes +yes/m);
    expect(await json(["list", "--environment", "prod"])).toMatchObject([
      { provider: "openai", isDefault: false },
      { provider: "custom", isDefault: true },
    ]);
    // Already the default: nothing is asked.
    await done(["set", "custom", "--default"]);
    // What fails leaves the old default in place.
    expectFailure(await fails(["set", "gone", "--default", "--yes"]), 4, /no such provider/);
    await Promise.all(
      ["openai", "custom", "openai", "custom"].map((name) =>
        done(["set", name, "--default", "--yes"]),
      ),
    );
    const { rows } = await db.query(
      "SELECT count(*)::integer AS defaults FROM ai_provider_configs WHERE is_default",
    );
    expect(rows).toEqual([{ defaults: 1 }]);
  });

  it.each([
    [["--enabled", "true"], "enabled = false", /enabled: no -> yes/],
    [["--weight", "3"], "weight = 0", /weight: 0 -> 3/],
    [["--model", "big"], "model = 'small'", /model: "small" -> "big"/],
    [["--model", "none"], "model = 'small'", /model: "small" -> the provider's own/],
    [["--default"], "weight = 1", /default: no -> yes/],
  ])("providers set custom %j asks first", async (options, before, question) => {
    await db.exec(
      `UPDATE ai_provider_configs SET ${before} WHERE environment = 'prod' AND provider = 'custom'`,
    );
    const argv = ["set", "custom", ...options];
    const list = await done(["list"]);
    const ran = await fails(argv);
    expectFailure(ran, exitCodes.notConfirmed, question);
    expect(ran.err).toMatch(/this widens provider custom in prod .*; say so with --yes/);
    const refused = await runCaptured(["providers", ...argv], { env, answer: "n\n" });
    expect(refused).toMatchObject({ code: exitCodes.notConfirmed, out: "" });
    expect(await done(["list"])).toBe(list);
    expect(await runCaptured(["providers", ...argv], { env, answer: "y\n" })).toMatchObject({
      code: exitCodes.done,
    });
    await done([...argv, "--yes"]);
    // What stands there already widens nothing.
    await done(argv);
  });

  it("disabling and fewer draws are never asked about", async () => {
    await done(["set", "openai", "--enabled", "false"]);
    await done(["set", "openai", "--weight", "0"]);
    expect(await json(["list"])).toMatchObject([{ enabled: false, weight: 0 }, {}, {}]);
  });

  it("an unknown provider is not found, and made with --create", async () => {
    const name = "'; DROP TABLE ai_provider_configs; --";
    expectFailure(
      await fails(["set", name, "--enabled", "false"]),
      exitCodes.notFound,
      /no such provider in "prod": .*; --create makes it/,
    );
    expect(await json(["set", name, "--create", "--weight", "2"])).toMatchObject({
      provider: name,
      environment: "prod",
      enabled: false,
      weight: 2,
    });
    const enabled = ["set", "fresh", "--environment", "eu", "--create", "--enabled", "true"];
    expectFailure(await fails(enabled), exitCodes.notConfirmed, /enabled: no -> yes/);
    expect(await json([...enabled, "--default", "--yes"])).toMatchObject({
      environment: "eu",
      enabled: true,
      isDefault: true,
    });
  });

  it("no table is not found, and a role without UPDATE is refused", async () => {
    for (const argv of [["list"], ["set", "custom", "--enabled", "false"]]) {
      expectFailure(
        await fails([...argv, "--schema", "nowhere"]),
        exitCodes.notFound,
        /sluice migrate/,
      );
    }
    const role = `sluice_cli_${randomBytes(6).toString("hex")}`;
    await db.exec(`CREATE ROLE ${role} LOGIN; GRANT SELECT ON ai_provider_configs TO ${role}`);
    try {
      const url = new URL(server.connectionString);
      url.username = role;
      const other = { env: { DATABASE_URL: url.href } };
      await done(["list"], other);
      expectFailure(
        await runCaptured(["providers", "set", "custom", "--enabled", "false"], other),
        exitCodes.refused,
        /permission denied/,
      );
    } finally {
      await db.exec(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});
