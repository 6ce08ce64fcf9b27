import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPostgresBin, privatePostgres, type PrivatePostgres } from "./private-postgres.ts";
import { runPsql } from "./run-psql.ts";

const skipped = process.env["CI"] !== "true" && findPostgresBin() === undefined;

describe.skipIf(skipped)("a server of a test's own", { timeout: 60_000 }, () => {
  let server: PrivatePostgres;
  const ask = (statement: string): string => runPsql(server.connectionString, statement);
  beforeAll(async () => {
    server = await privatePostgres({ password: "pass/word", settings: { max_connections: 17 } });
    ask("CREATE TABLE kept AS SELECT 1 AS one");
  }, 60_000);
  afterAll(() => server.remove());

  it("is configured as asked, and asks for the password", () => {
    expect(ask("SHOW max_connections")).toBe("17");
    const without = new URL(server.connectionString);
    without.password = "wrong";
    expect(() => runPsql(without.href, "SELECT 1")).toThrow("password authentication failed");
  });

  it("is gone once stopped, and has what it had once started again", async () => {
    await server.stop();
    expect(() => ask("SELECT 1")).toThrow("refused");
    await server.start();
    expect(ask("SELECT one FROM kept")).toBe("1");
  });

  it("starts again after it was killed", async () => {
    await server.kill9();
    expect(() => ask("SELECT 1")).toThrow("refused");
    await server.start();
    expect(ask("SELECT one FROM kept")).toBe("1");
  });

  it("comes back as a hot standby, until it is promoted", async () => {
    await server.stop();
    await server.start({ standby: true });
    expect(ask("SELECT pg_is_in_recovery(), one FROM kept")).toBe("t|1");
    expect(() => ask("DELETE FROM kept")).toThrow("read-only");
    await server.promote();
    expect(ask("SELECT pg_is_in_recovery()")).toBe("f");
    ask("INSERT INTO kept VALUES (2)");
  });
});
