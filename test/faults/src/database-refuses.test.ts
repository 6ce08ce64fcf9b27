import { postgres } from "@sluice/sql";
import { findPostgresBin, privatePostgres, type PrivatePostgres } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openSampleFeature } from "./sample-table.ts";
import { hasty, startMember, type Member } from "./start-member.ts";

/** Less those that only a superuser gets. */
const maxConnections = 10;
const reserved = 3;

/** It goes on serving the safe path, and has nothing more to say than that, once. */
async function expectToldOnce(member: Member, code: string): Promise<void> {
  await member.untilTold({ state: "unreachable", code });
  await member.untilPath("FLAGS_STALE");
  const told = member.lines();
  expect(await member.untilServed(1000)).toMatchObject({ ai: 0, unserved: 0 });
  expect(member.lines()).toEqual(told);
  expect(told.filter((line) => line.startsWith('{"state"'))).toEqual([
    JSON.stringify({ state: "unreachable", code }),
  ]);
  expect(member.process.stderr).toBe("");
}

const skipped = process.env["CI"] !== "true" && findPostgresBin() === undefined;
const title = `a database that refuses${skipped ? " (skipped: no PostgreSQL server is installed)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 60_000 }, () => {
  let server: PrivatePostgres;
  let psql: (statement: string) => string;
  let asApp: (password: string) => string;
  beforeAll(async () => {
    server = await privatePostgres({
      password: "of the superuser",
      settings: {
        max_connections: maxConnections,
        superuser_reserved_connections: reserved,
        max_wal_senders: 0,
      },
    });
    psql = await openSampleFeature(server.connectionString);
    psql("CREATE ROLE app LOGIN PASSWORD 'hunter1'; GRANT SELECT ON feature_state TO app");
    asApp = (password) => {
      const url = new URL(server.connectionString);
      url.username = "app";
      url.password = password;
      return url.href;
    };
  }, 60_000);
  afterAll(() => server.remove());

  it("I9 a password opens nothing, is told of once and never shown, and may be mended in the database", async () => {
    const member = await startMember(asApp("hunter2"), hasty);
    await expectToldOnce(member, "28P01");
    psql("ALTER ROLE app PASSWORD 'hunter2'");
    await member.untilPath("ai");
    psql("ALTER ROLE app PASSWORD 'hunter1'");
    expect(member.process.stdout).not.toContain("hunter2");
  });

  it("I9 a table opens nothing without rights to it, until they are granted", async () => {
    psql("REVOKE SELECT ON feature_state FROM app");
    const member = await startMember(asApp("hunter1"), hasty);
    await expectToldOnce(member, "42501");
    psql("GRANT SELECT ON feature_state TO app");
    await member.untilPath("ai");
  });

  it("I9 its last connection opens nothing, until others leave", async () => {
    const others = postgres({
      connectionString: asApp("hunter1"),
      poolSize: maxConnections - reserved,
      statementTimeoutMs: 60_000,
    });
    onTestFinished(() => others.close());
    const leave = Promise.withResolvers<void>();
    let inside = 0;
    const taken = Promise.withResolvers<void>();
    const staying = Array.from({ length: maxConnections - reserved }, () =>
      others.transaction(async () => {
        inside += 1;
        if (inside === maxConnections - reserved) taken.resolve();
        await leave.promise;
      }),
    );
    await taken.promise;
    const member = await startMember(asApp("hunter1"), hasty);
    await expectToldOnce(member, "53300");
    leave.resolve();
    await Promise.all(staying);
    await others.close();
    await member.untilPath("ai");
  });
});
