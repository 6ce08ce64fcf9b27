import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { migrate, postgres } from "@sluice/sql";
import {
  postgresAnswers,
  postgresForTests,
  runPsql,
  startProcess,
  type RunningProcess,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const main = fileURLToPath(new URL("../../../apps/chat-express/src/main.ts", import.meta.url));
const page = readFileSync(new URL("../../../docs/how-to/flags-in-sql.md", import.meta.url), "utf8");
const [script = ""] = /^CREATE ROLE faq_app[^`]*/m.exec(page) ?? [];
const statements = script.trim().split("\n");

interface Setting {
  /** Of the tables' owner. */
  readonly owner: string;
  /** Of the role. */
  readonly connectionString: string;
}

/** A migrated database, with rows of the last days, and a role with what the statements grant. */
async function setUp(granted: readonly string[]): Promise<Setting> {
  const { connectionString: owner, drop } = postgresForTests();
  const role = `sluice_test_${randomBytes(8).toString("hex")}`;
  const db = postgres({ connectionString: owner });
  onTestFinished(async () => {
    await db.close();
    runPsql(owner, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
    drop();
  });
  await migrate(db);
  runPsql(owner, granted.join("\n").replaceAll("faq_app", role));
  runPsql(
    owner,
    `ALTER ROLE ${role} PASSWORD 'of-a-test';
     INSERT INTO feature_state (feature_name) VALUES ('chat_ai');
     UPDATE feature_state SET enabled = true, rollout_percent = 100;
     INSERT INTO ai_training_examples (feature, selected_provider, latency_ms, created_at)
     SELECT 'chat_ai', 'openai', 120, now() - hours * interval '1 hour'
     FROM generate_series(1, 60) AS hours`,
  );
  const url = new URL(owner);
  url.username = role;
  url.password = "of-a-test";
  return { owner, connectionString: url.href };
}

async function start(connectionString: string): Promise<{
  readonly app: RunningProcess;
  readonly url: string;
}> {
  const app = startProcess(main, {
    env: { PORT: "0", DATABASE_URL: connectionString, FF_CHAT_GATEWAY_ENABLED: "true" },
  });
  onTestFinished(async () => void (await app.kill()));
  const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
  return { app, url };
}

async function pathOf(url: string): Promise<string | null> {
  const response = await fetch(`${url}/api/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }),
  });
  expect(response.status).toBe(200);
  return response.headers.get("sluice-path");
}

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("the role of an application", { timeout: 60_000 }, () => {
  it("with what the page grants serves, kills, records, counts and rolls up, with no complaint", async () => {
    const { owner, connectionString } = await setUp(statements);
    const { app, url } = await start(connectionString);
    expect(await pathOf(url)).toBe("ai");
    const days = "SELECT count(*) > 0 FROM latency_days";
    await vi.waitFor(() => expect(runPsql(owner, days)).toBe("t"), { timeout: 20_000 });
    expect(runPsql(owner, "SELECT count(*) FROM sluice_instances")).toBe("1");
    expect((await fetch(`${url}/api/figures`)).status).toBe(200);
    expect((await fetch(`${url}/api/kill`, { method: "POST" })).status).toBe(200);
    expect(await pathOf(url)).toBe("legacy");

    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
    const written = `SELECT (SELECT killed FROM feature_state),
      (SELECT count(*) FROM ai_training_examples WHERE outcome = 'SUCCEEDED'),
      (SELECT count(*) > 0 FROM metric_windows), (SELECT count(*) FROM sluice_instances)`;
    expect(runPsql(owner, written)).toBe("t|1|t|0");
    // The kill of this process is the one thing to be told.
    const lines = app.stderr.split("\n").filter((line) => line !== "");
    expect(lines.filter((line) => !line.includes('"code":"KILLED_LOCALLY"'))).toEqual([]);
  });

  it("can't open a feature, choose a provider or touch the audit", async () => {
    const { connectionString } = await setUp(statements);
    for (const statement of [
      "UPDATE feature_state SET enabled = true",
      "UPDATE feature_state SET rollout_percent = 100",
      "INSERT INTO feature_state (feature_name) VALUES ('other_ai')",
      "DELETE FROM feature_state",
      "UPDATE ai_provider_configs SET enabled = true",
      "SELECT FROM flag_audit",
      "UPDATE flag_audit_head SET id = 0",
      "DELETE FROM ai_training_examples",
      "CREATE TABLE anything (id integer)",
    ]) {
      expect(() => runPsql(connectionString, statement)).toThrow(/permission denied/);
    }
    runPsql(connectionString, "UPDATE feature_state SET killed = true");
  });

  it.each(statements.filter((statement) => statement.startsWith("GRANT")))(
    "lacks something without: %s",
    async (statement) => {
      const { connectionString } = await setUp(statements.filter((other) => other !== statement));
      const { app, url } = await start(connectionString);
      await app.printed(/\b42501\b/);
      expect(["ai", "legacy"]).toContain(await pathOf(url));
    },
  );

  it("has grants to lack", () => {
    expect(statements).toHaveLength(7);
  });
});
