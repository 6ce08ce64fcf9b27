import { migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured } from "../run-captured.ts";

it.each(["-1", "x", "1.5", "600001"])("kill --wait-ms %s is wrong usage", async (value) => {
  const ran = await runCaptured(["kill", "f", `--wait-ms=${value}`]);
  expect(ran).toMatchObject({ code: exitCodes.usage, out: "" });
  expect(ran.err).toMatch(/--wait-ms.*0 to 600000/);
});

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("a kill of which one of eight living processes has not heard", () => {
  let server: TestPostgres;
  let db: SqlDatabase;

  const kill = (...options: readonly string[]): Promise<Captured> =>
    runCaptured(["kill", "f", ...options], { env: { DATABASE_URL: server.connectionString } });

  beforeAll(async () => {
    server = postgresForTests();
    db = postgres({ connectionString: server.connectionString });
    await migrate(db);
    await db.exec(
      `INSERT INTO feature_state (feature_name, enabled, rollout_percent) VALUES ('f', true, 100);
       INSERT INTO sluice_instances (instance_id, application_name, seen_at, applied)
       SELECT 'process-' || n, 'app', now() + interval '10 minutes', jsonb_build_object('f',
         jsonb_build_object('version', CASE n WHEN 8 THEN 1 ELSE 1000 END, 'at', now()))
       FROM generate_series(1, 8) AS n;
       INSERT INTO sluice_instances (instance_id, application_name, seen_at)
       VALUES ('dead', 'app', now() - interval '1 minute')`,
    );
  }, 60_000);

  afterAll(async () => {
    await db.close();
    server.drop();
  });

  it("is written, tells 7 of 8, and ends with exit code 1 when the time is over", async () => {
    const ran = await kill("--wait-ms", "50");
    expect(ran.code).toBe(exitCodes.checkFailed);
    expect(ran.out).toMatch(/^f +killed/m);
    expect(ran.out).toMatch(/^7 of 8 processes applied version 2/m);
    expect(ran.err).toBe(
      "sluice: the kill is written, but 1 of 8 processes have not applied it; sluice doctor tells which\n",
    );
    const told = await kill("--wait-ms", "50", "--json");
    expect(told.code).toBe(exitCodes.checkFailed);
    expect(JSON.parse(told.out)).toMatchObject({
      killed: true,
      fleet: { alive: 8, applied: 7, complete: false },
    });
  });

  it("is no failure where nobody waits", async () => {
    const ran = await kill("--wait-ms", "0", "--json");
    expect(ran).toMatchObject({ code: exitCodes.done, err: "" });
    expect(JSON.parse(ran.out)).toMatchObject({ killed: true, fleet: null });
    expect((await kill("--wait-ms", "0")).out).not.toMatch(/processes/);
  });

  it("is waited for until the last has heard", async () => {
    const waiting = kill("--wait-ms", "60000");
    await db.exec(
      `UPDATE sluice_instances SET applied = '{"f": {"version": 1000}}' WHERE instance_id = 'process-8'`,
    );
    const ran = await waiting;
    expect(ran).toMatchObject({ code: exitCodes.done, err: "" });
    expect(ran.out).toMatch(/^8 of 8 processes applied version 2/m);
  });
});
