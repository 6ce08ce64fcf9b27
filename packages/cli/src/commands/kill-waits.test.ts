import { readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured } from "../run-captured.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const runbook = readFileSync(
  new URL("../../../../docs/runbooks/kill-switch.md", import.meta.url),
  "utf8",
);

/** What differs from run to run. */
const general = (text: string): string =>
  text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "TIME")
    .replaceAll(/(?<=pid |backend\()\d+/g, "PID");

describe.skipIf(skipped)(
  "a kill that another transaction keeps waiting",
  { timeout: 60_000 },
  () => {
    let server: TestPostgres;
    let db: SqlDatabase;

    const kill = (more: readonly string[] = [], role?: string): Promise<Captured> => {
      const url = new URL(server.connectionString);
      if (role !== undefined) url.username = role;
      return runCaptured(["kill", "faq_ai", ...more], { env: { DATABASE_URL: url.href } });
    };

    interface Held {
      readonly pid: number;
      readonly since: string;
    }

    /** Runs `work` while a transaction of the application `psql` holds the lock; ends it after that. */
    const holding = async (lock: string, work: (held: Held) => Promise<void>): Promise<void> => {
      const holder = postgres({
        connectionString: server.connectionString,
        applicationName: "psql",
        statementTimeoutMs: 60_000,
      });
      onTestFinished(() => holder.close());
      await holder.transaction(async (query) => {
        await query(lock);
        const { rows } = await query<Held>(
          `SELECT pg_backend_pid() AS pid,
           to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since`,
        );
        await work(rows[0] ?? { pid: Number.NaN, since: "" });
      });
    };

    beforeAll(async () => {
      server = postgresForTests();
      db = postgres({ connectionString: server.connectionString });
      await migrate(db);
      await db.exec(
        "INSERT INTO feature_state (feature_name, enabled, rollout_percent) VALUES ('faq_ai', true, 100)",
      );
    }, 60_000);

    afterAll(async () => {
      await db.close();
      server.drop();
    });

    it.each([
      ["the row", "SELECT FROM feature_state FOR UPDATE"],
      ["the table, from readers too", "LOCK TABLE feature_state"],
      ["the end of the audit", "SELECT FROM flag_audit_head FOR UPDATE"],
    ])("names who has %s, and how to end it", async (_, lock) => {
      await holding(lock, async ({ pid, since }) => {
        const ran = await kill();
        expect(ran).toEqual({
          code: exitCodes.refused,
          out: "",
          err: `sluice: not killed: a lock is held by pid ${pid} (role postgres, application psql, since ${since}); end that with SELECT pg_terminate_backend(${pid}), then kill again\n`,
        });
        expect(runbook.split("\n").map(general)).toContain(general(ran.err.trimEnd()));
      });
      const { rows } = await db.query("SELECT killed FROM feature_state");
      expect(rows).toEqual([{ killed: false }]);
    });

    /** One who may change flags and no more, until the test ends. */
    const createKiller = async (attributes = ""): Promise<string> => {
      const role = `sluice_killer_${randomBytes(6).toString("hex")}`;
      await db.exec(
        `CREATE ROLE ${role} LOGIN ${attributes}; GRANT SELECT, UPDATE ON feature_state TO ${role}`,
      );
      onTestFinished(() => db.exec(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
      return role;
    };

    it("tells two who wait the same, the time only to whom may see it, and goes through once it is ended", async () => {
      const role = await createKiller();
      const ended = holding("SELECT FROM feature_state FOR UPDATE", async ({ pid, since }) => {
        const [all, some] = await Promise.all([kill(["--json"]), kill([], role)]);
        expect(all.code).toBe(exitCodes.refused);
        expect(all.err).toMatch(/^sluice: not killed: .*\n$/);
        const endWith = `SELECT pg_terminate_backend(${pid})`;
        expect(JSON.parse(all.out)).toEqual({
          feature: "faq_ai",
          blockers: [{ pid, role: "postgres", applicationName: "psql", since }],
          endWith,
        });
        expect(some.code).toBe(exitCodes.refused);
        expect(some.err).toContain(
          `held by pid ${pid} (role postgres, application psql); end that with ${endWith}`,
        );
        await db.query(endWith);
        expect(await kill(["--json"])).toMatchObject({ code: exitCodes.done, err: "" });
      });
      await expect(ended).rejects.toThrow("connection");
      const { rows } = await db.query("SELECT killed FROM feature_state");
      expect(rows).toEqual([{ killed: true }]);
    });

    it("names nobody where it gets no second connection to ask on", async () => {
      const role = await createKiller("CONNECTION LIMIT 1");
      await holding("SELECT FROM feature_state FOR UPDATE", async () => {
        expect(await kill([], role)).toEqual({
          code: exitCodes.refused,
          out: "",
          err: "sluice: refused by the database: canceling statement due to lock timeout\n",
        });
      });
    });
  },
);
