import { migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured } from "../run-captured.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)(
  "a change that another transaction keeps waiting",
  { timeout: 60_000 },
  () => {
    let server: TestPostgres;
    let db: SqlDatabase;

    const sluice = (argv: readonly string[], answer?: string): Promise<Captured> =>
      runCaptured(argv, {
        env: { DATABASE_URL: server.connectionString },
        ...(answer !== undefined && { answer }),
      });

    beforeAll(async () => {
      server = postgresForTests();
      db = postgres({ connectionString: server.connectionString });
      await migrate(db);
      await db.exec(`
        INSERT INTO feature_state (feature_name, enabled, rollout_percent, killed)
          VALUES ('faq_ai', true, 50, true);
        INSERT INTO ai_provider_configs (provider) VALUES ('custom') ON CONFLICT DO NOTHING`);
    }, 60_000);
    afterAll(async () => {
      await db.close();
      server.drop();
    });

    /** Runs `work` while a transaction of the application `psql` holds the lock; ends it after that. */
    const holding = async (lock: string, work: (pid: number) => Promise<void>): Promise<void> => {
      const holder = postgres({
        connectionString: server.connectionString,
        applicationName: "psql",
        statementTimeoutMs: 60_000,
      });
      onTestFinished(() => holder.close());
      await holder.transaction(async (query) => {
        await query(lock);
        const { rows } = await query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
        await work(rows[0]?.pid ?? Number.NaN);
      });
    };

    it("names who has the row, and how to end it", async () => {
      const both = "SELECT FROM feature_state, ai_provider_configs FOR UPDATE";
      await holding(both, async (pid) => {
        const commands = [
          ["flags", "set", "faq_ai", "--percent", "5"],
          ["flags", "allow", "faq_ai", "--nobody", "--yes"],
          ["flags", "salt", "faq_ai", "q1", "--yes"],
          ["restore", "faq_ai", "--yes"],
          ["providers", "set", "custom", "--enabled", "false"],
        ];
        const ran = await Promise.all(commands.map((argv) => sluice(argv)));
        for (const [index, { code, out, err }] of ran.entries()) {
          expect({ code, out }, commands[index]?.join(" ")).toEqual({
            code: exitCodes.refused,
            out: "",
          });
          expect(err).toMatch(/^sluice: not changed: a lock is held by .*, then try again\n$/);
          expect(err).toContain(`pid ${pid} (role postgres, application psql, since `);
          expect(err).toContain(`; end that with SELECT pg_terminate_backend(${pid}), `);
        }
      });
    });

    it("tells a script what it changes and who is in the way", async () => {
      const argv = ["providers", "set", "custom", "--weight", "3", "--json"];
      await holding("SELECT FROM ai_provider_configs FOR UPDATE", async (pid) => {
        const { code, out } = await sluice(argv);
        expect(code).toBe(exitCodes.refused);
        expect(JSON.parse(out)).toMatchObject({
          environment: "prod",
          provider: "custom",
          blockers: [{ pid, role: "postgres", applicationName: "psql" }],
          endWith: `SELECT pg_terminate_backend(${pid})`,
        });
      });
    });

    it("names who came while a question stood, too", async () => {
      await holding("LOCK TABLE flag_audit IN SHARE MODE", async (pid) => {
        const { code, err } = await sluice(["restore", "faq_ai"], "y\n");
        expect(code).toBe(exitCodes.refused);
        expect(err).toMatch(/Go on\? \[y\/N\] sluice: not changed: /);
        expect(err).toContain(`pid ${pid} `);
      });
      const { rows } = await db.query(
        "SELECT rollout_percent AS percent, killed FROM feature_state",
      );
      expect(rows).toEqual([{ percent: 50, killed: true }]);
    });
  },
);
