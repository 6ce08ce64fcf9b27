import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { migrate, postgres, type RecordWriterState } from "@sluice/sql";
import { postgresAnswers, postgresForTests, startProcess } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { codesIn, readPage } from "../read-page.ts";
import { readText, ROOT } from "../repository.ts";
import { page } from "./records-in-sql.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const text = readText(page);
const blocks = readPage(text)
  .blocks.filter(({ language }) => language === "sql")
  .map((block) => block.text);

/** The one block that has the words. */
function blockWith(words: string): string {
  const [block, ...others] = blocks.filter((each) => each.includes(words));
  if (block === undefined || others.length > 0) throw new Error(`no one block has: ${words}`);
  return block;
}

/** Each statement is a psql of its own. */
const patiently = { timeout: 60_000 };

describe.skipIf(skipped)("the SQL of the page, in psql", () => {
  let database: ReturnType<typeof postgresForTests>;

  const ran = (script: string): string => {
    const args = ["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", database.connectionString];
    const { stdout, stderr, status } = spawnSync("psql", args, { encoding: "utf8", input: script });
    expect(status, stderr).toBe(0);
    return stdout.trim();
  };

  beforeAll(() => {
    database = postgresForTests();
    const folder = join(ROOT, "packages/sql/migrations");
    for (const file of globSync("*.sql", { cwd: folder }).toSorted()) {
      ran(`SET client_min_messages = warning;\n${readText(`packages/sql/migrations/${file}`)}`);
    }
    ran(`INSERT INTO ai_training_examples (
        feature, outcome, selected_provider, fallback_provider, fallback_used, cost_nano_usd, created_at
      )
      SELECT 'faq_ai', 'SUCCEEDED', 'openai', 'custom', true, 500000000, now()
      FROM generate_series(1, 3);`);
  }, patiently.timeout);
  afterAll(() => database.drop());

  it("says what a feature did, and who stood in for whom", patiently, () => {
    expect(ran(blockWith("AS dollars"))).toMatch(/^SUCCEEDED\|\|3\|1\.50*$/);
    expect(ran(blockWith("WHERE fallback_used"))).toBe("openai|custom|3");
  });

  it("has yesterday's p95 from the counts", patiently, () => {
    ran(`INSERT INTO latency_days (day, provider, bucket, n)
      SELECT date_trunc('day', now(), 'UTC') - interval '24 hours', 'openai', bucket, n
      FROM (VALUES (ceil(ln(200) / ln(1.01 / 0.99)), 950), (ceil(ln(4000) / ln(1.01 / 0.99)), 50))
        AS counts (bucket, n);`);
    const [provider, ms] = ran(blockWith("latency_days")).split("|");
    expect(provider).toBe("openai");
    expect(Math.abs(Number(ms) - 200)).toBeLessThanOrEqual(2);
  });

  it("is all of it", () => {
    expect(blocks).toHaveLength(3);
  });

  it("names the columns that there are", patiently, () => {
    const columns = ran(
      `SELECT attname FROM pg_attribute
       WHERE attrelid = 'ai_training_examples'::regclass AND attnum > 0`,
    ).split("\n");
    const told = readPage(text).tables.find((table) => table.columns[0] === "column");
    expect(told?.rows.flatMap((row) => codesIn(row("column"))).toSorted()).toEqual(
      columns.toSorted(),
    );
  });
});

/** Each that there is: one that is added or taken away does not compile. */
const states: Readonly<Record<RecordWriterState, true>> = {
  written: true,
  away: true,
  refused: true,
  refusing: true,
  dropping: true,
};

it("has a row for each state that onProblem is told", () => {
  const told = readPage(text).tables.find((table) => table.columns[0] === "state");
  expect(told?.rows.flatMap((row) => codesIn(row("state"))).toSorted()).toEqual(
    Object.keys(states).toSorted(),
  );
});

/** The page's application, as a program of its own. */
async function started(env: Readonly<Record<string, string>>) {
  const app = startProcess(fileURLToPath(new URL("records-in-sql-app.ts", import.meta.url)), {
    env,
  });
  onTestFinished(async () => void (await app.kill()));
  const [, port = ""] = await app.printed(/listening on (\d+)/);
  const post = async (path: string): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "alice" },
      body: JSON.stringify({ text: "When do you open?" }),
    });
    await response.arrayBuffer();
    return response.status;
  };
  return { app, post };
}

describe("the wiring of the page", () => {
  it.skipIf(skipped)(
    "writes a row per request, at SIGTERM the last, and ends",
    patiently,
    async () => {
      const database = postgresForTests();
      onTestFinished(() => database.drop());
      const db = postgres({ connectionString: database.connectionString });
      onTestFinished(() => db.close());
      await migrate(db);
      const { app, post } = await started({ DATABASE_URL: database.connectionString });
      expect(await post("/api/faq")).toBe(200);
      expect(await post("/api/faq")).toBe(200);
      app.signal("SIGTERM");
      expect(await app.ended).toEqual({ code: 0, signal: null });
      const { rows } = await db.query(
        "SELECT feature, outcome, count(*)::integer AS n FROM ai_training_examples GROUP BY 1, 2",
      );
      expect(rows).toEqual([{ feature: "faq_ai", outcome: "SUCCEEDED", n: 2 }]);
      expect(app.stderr).toBe("");
    },
  );

  it("says once that the database is away, and answers none the less", patiently, async () => {
    const { app, post } = await started({});
    expect(await post("/api/faq")).toBe(200);
    await app.printed(/records: away ECONNREFUSED, 1 wait, 0 lost\n/);
    expect(await post("/api/faq")).toBe(200);
    expect(app.stderr.match(/records:/g)).toHaveLength(1);
  });

  it("leaves alerts to be warned of: the writer subscribes to none", patiently, async () => {
    const { app, post } = await started({});
    expect(await post("/kill")).toBe(204);
    await app.printed(/\[SLUICE_KILLED_LOCALLY\] Warning: sluice faq_ai: killed in this process/);
  });
});
