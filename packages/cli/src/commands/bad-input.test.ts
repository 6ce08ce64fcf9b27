import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { randomBytes } from "node:crypto";
import { migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured } from "../run-captured.ts";

const password = "pa55word";
const drop = "'; DROP TABLE feature_state; --";

function expectFailure(ran: Captured, code: number, line = /./): void {
  expect(ran).toMatchObject({ code, out: "" });
  expect(ran.err).toMatch(/^sluice: .*\n$/);
  expect(ran.err).toMatch(line);
  expect(ran.err).not.toContain(password);
}

interface Tried {
  readonly argv: readonly string[];
  /** For the owner of the tables. */
  readonly code: number;
  /** For a role that may read flags and providers, and no more. */
  readonly readerCode: number;
}

const { done, refused, checkFailed } = exitCodes;

const tries: readonly Tried[] = [
  { argv: ["migrate"], code: done, readerCode: refused },
  { argv: ["flags", "list"], code: done, readerCode: done },
  { argv: ["flags", "get", "f"], code: done, readerCode: done },
  { argv: ["flags", "set", "f", "--percent", "0"], code: done, readerCode: refused },
  { argv: ["flags", "allow", "f", "a", "--yes"], code: done, readerCode: refused },
  { argv: ["flags", "salt", "f", "f"], code: done, readerCode: refused },
  { argv: ["kill", "f"], code: done, readerCode: refused },
  { argv: ["restore", "f", "--yes"], code: done, readerCode: refused },
  { argv: ["change", "list"], code: done, readerCode: refused },
  {
    argv: ["change", "request", "f", "--percent", "1", "--reason", "r"],
    code: done,
    readerCode: refused,
  },
  { argv: ["change", "approve", "1"], code: refused, readerCode: refused },
  { argv: ["change", "reject", "1"], code: refused, readerCode: refused },
  { argv: ["change", "apply", "1"], code: refused, readerCode: refused },
  { argv: ["providers", "list"], code: done, readerCode: done },
  { argv: ["providers", "set", "custom", "--weight", "1"], code: done, readerCode: refused },
  { argv: ["bucket", "f", "user-1"], code: done, readerCode: done },
  { argv: ["audit", "tail"], code: done, readerCode: refused },
  { argv: ["audit", "verify"], code: done, readerCode: refused },
  { argv: ["audit", "anchor"], code: done, readerCode: refused },
  { argv: ["doctor"], code: done, readerCode: checkFailed },
];

/** One line, which says more than nothing, or none where all is well. */
function expectLine(ran: Captured, code: number): void {
  expect(ran.code).toBe(code);
  expect(ran.err).toMatch(code === done ? /^$/ : /^sluice: .+\n$/);
  expect(ran.err).not.toContain(password);
}

describe("without a database", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("the version is that of the package", async () => {
    const ran = await runCaptured(["--version"]);
    expect(ran).toMatchObject({ code: exitCodes.done, err: "" });
    expect(ran.out).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });

  it("no line is coloured, also where the environment asks for colours", async () => {
    vi.stubEnv("FORCE_COLOR", "1");
    for (const argv of [["--help"], ["flags", "set", "--help"], ["flog"], ["providers"]]) {
      const { out, err } = await runCaptured(argv);
      expect(out + err).not.toBe("");
      expect(out + err).not.toContain("\u001b");
    }
  });

  it.each(["101", "-1", "5.5", "", " 5", "5 ", "+5", "0x10", "1e1", "null", "NaN", "٥", "5\0"])(
    "a percent of %j is wrong usage",
    async (percent) => {
      for (const argv of [
        ["flags", "set", "f", `--percent=${percent}`],
        ["change", "request", "f", "--reason", "r", `--percent=${percent}`],
      ]) {
        expectFailure(await runCaptured(argv), exitCodes.usage, /--percent.*0 to 100/);
      }
    },
  );

  it.each([
    ["kill", "a\0b"],
    ["bucket", "f", "a\0b"],
    ["bucket", "f", "\ud800"],
    ["flags", "allow", "f", "a\0b"],
    ["flags", "salt", "f", "\0"],
    ["kill", "f", "--reason", "\0"],
    ["change", "list", "--feature", "\0"],
    ["providers", "set", "\0", "--enabled", "false"],
  ])("NUL or half a character is wrong usage: %j", async (...argv) => {
    expectFailure(await runCaptured(argv), exitCodes.usage, /NUL|on one line/);
  });

  it.each([
    [["flog"]],
    [["flags", "flog"]],
    [["flags", "list", "--loud"]],
    [["kill"]],
    [["kill", "f", "g"]],
    [["change", "approve", "first"]],
    [["change", "approve", "0"]],
    [["audit", "tail", "-n", "0"]],
    [["--json=yes", "flags", "list"]],
    [["\u001b[31mred"]],
    [[`postgresql://me:${password}@host/x`, "flags", "list"]],
    [["change", "approve", `postgresql://me:${password}@host/x`]],
  ])("what no command takes is wrong usage: %j", async (argv) => {
    expectFailure(await runCaptured(argv), exitCodes.usage);
  });

  it.each(tries)("a server that is absent can't be reached: $argv", async ({ argv }) => {
    const url = `postgresql://me:${password}@127.0.0.1:1/x`;
    const ran = await runCaptured([...argv, "--json"], { env: { DATABASE_URL: url } });
    expectFailure(ran, exitCodes.unreachable, /the database can't be reached: .*ECONNREFUSED/);
  });

  it("a wrong password is told without it", async () => {
    const port = await refusingServer();
    const ran = await runCaptured(["flags", "list"], {
      env: { DATABASE_URL: `postgresql://me:${password}@127.0.0.1:${String(port)}/x` },
    });
    expectFailure(
      ran,
      exitCodes.unreachable,
      /can't be reached: password authentication failed for user "me"/,
    );
  });
});

/**
 * Asks for the password and refuses it, as PostgreSQL does where `pg_hba.conf` says `password`; the
 * messages are those of https://www.postgresql.org/docs/current/protocol-message-formats.html.
 */
async function refusingServer(): Promise<number> {
  const text = 'SFATAL\0C28P01\0Mpassword authentication failed for user "me"\0\0';
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write(message("R", Buffer.from([0, 0, 0, 3])));
      socket.once("data", () => socket.end(message("E", Buffer.from(text))));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("on PostgreSQL", () => {
  let server: TestPostgres;
  let db: SqlDatabase;
  let env: Readonly<Record<string, string>>;

  beforeAll(async () => {
    server = postgresForTests();
    env = { DATABASE_URL: server.connectionString };
    db = postgres({ connectionString: server.connectionString });
    await migrate(db);
    await db.exec(
      `INSERT INTO feature_state (feature_name, enabled, rollout_percent) VALUES ('f', true, 100);
       SELECT request_flag_change('f', true, 1, false, 'r');
       SELECT reject_flag_change(1)`,
    );
  }, 60_000);

  afterAll(async () => {
    await db.close();
    server.drop();
  });

  it.each(tries)("--json gives JSON, or one line and nothing else: $argv", async (tried) => {
    const ran = await runCaptured([...tried.argv, "--json"], { env });
    expectLine(ran, tried.code);
    expect(ran.out === "").toBe(tried.code === refused);
    expect(() => void JSON.parse(ran.out || "null")).not.toThrow();
  });

  it("SQL in a name, a subject, a salt or a reason is text", async () => {
    const row = async () => {
      const { rows } = await db.query("SELECT allowlist, salt FROM feature_state");
      return rows;
    };
    for (const argv of [
      ["flags", "get", drop],
      ["kill", drop],
      ["restore", drop],
      ["bucket", drop, "user-1"],
      ["flags", "allow", drop, "a"],
      ["change", "request", drop, "--percent", "1", "--reason", "r"],
    ]) {
      expectFailure(await runCaptured(argv, { env }), exitCodes.notFound, /no such feature/);
    }
    for (const argv of [
      ["bucket", "f", drop],
      ["flags", "allow", "f", drop, "--reason", drop, "--yes"],
      ["flags", "salt", "f", drop, "--yes"],
      ["change", "list", "--feature", drop],
      ["change", "request", "f", "--salt", drop, "--reason", drop],
    ]) {
      expect(await runCaptured(argv, { env })).toMatchObject({ code: exitCodes.done, err: "" });
    }
    expect(await row()).toEqual([{ allowlist: [drop], salt: drop }]);
    const { out } = await runCaptured(["bucket", "f", drop, "--json"], { env });
    const { sql, bucket } = JSON.parse(out) as { sql: string; bucket: number };
    expect((await db.query(sql)).rows).toEqual([{ bucket }]);
  });

  it("a role without rights is refused in one line, whatever it tries", async () => {
    const role = `sluice_cli_${randomBytes(6).toString("hex")}`;
    await db.exec(
      `CREATE ROLE ${role} LOGIN; GRANT SELECT ON feature_state, ai_provider_configs TO ${role}`,
    );
    try {
      const url = new URL(server.connectionString);
      url.username = role;
      url.password = password;
      for (const { argv, readerCode } of tries) {
        expectLine(await runCaptured(argv, { env: { DATABASE_URL: url.href } }), readerCode);
      }
    } finally {
      await db.exec(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});
