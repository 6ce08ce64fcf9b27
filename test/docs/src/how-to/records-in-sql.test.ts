import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { postgresAnswers, postgresForTests } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
