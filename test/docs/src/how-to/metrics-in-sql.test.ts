import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { postgresAnswers, postgresForTests, startProcess } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { codesOf, readPage, tableUnder } from "../read-page.ts";
import { readText } from "../repository.ts";
import { page } from "./metrics-in-sql.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const blocks = readPage(readText(page))
  .blocks.filter(({ language }) => language === "sql")
  .map(({ text }) => text);

/** Of two processes, over three windows; the latencies are 100 ms 90 times and 2000 ms 10 times. */
const rows = `
  INSERT INTO metric_windows (window_start, feature, arm, provider, instance_id, outcomes, http, latency_ms)
  SELECT to_timestamp(floor(extract(epoch FROM now()) / 10) * 10) - minutes * interval '1 minute',
    feature, arm, provider, instance, outcomes::jsonb, http::jsonb, latency::jsonb
  FROM (VALUES
    (1, 'faq_ai', 'ai', 'openai', 'a', '{"SUCCEEDED": 50}', '{"200": 50}', '{"p231": 50}'),
    (2, 'faq_ai', 'ai', 'openai', 'b', '{"SUCCEEDED": 40, "FAILED": 10}', '{"200": 40, "502": 10}',
      '{"p231": 40, "p381": 10}'),
    (2, 'faq_ai', 'stub', '', 'b', '{"STUBBED": 7}', '{"200": 7}', '{"z": 7}'),
    (2, 'faq_ai', 'none', '', 'b', '{}', '{"401": 3}', '{}'),
    (2, 'faq_ai', 'shadow', '', 'b', '{"WOULD_ALLOW": 5}', '{}', '{}'),
    (60, 'faq_ai', 'ai', 'openai', 'a', '{"FAILED": 9}', '{"500": 9}', '{"p400": 9}'),
    (2, 'other', 'ai', 'openai', 'a', '{"FAILED": 9}', '{"500": 9}', '{"p400": 9}'),
    (44640, 'faq_ai', 'ai', 'openai', 'a', '{"FAILED": 9}', '{"500": 9}', '{"p400": 9}')
  ) AS rows (minutes, feature, arm, provider, instance, outcomes, http, latency)`;

/** The one block that has the words. */
function blockWith(words: string): string {
  const [block, ...others] = blocks.filter((text) => text.includes(words));
  if (block === undefined || others.length > 0) throw new Error(`no one block has: ${words}`);
  return block;
}

describe.skipIf(skipped)("the SQL of the page, in psql", () => {
  let database: ReturnType<typeof postgresForTests>;

  const ran = (script: string): string => {
    const args = ["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", database.connectionString];
    const { stdout, stderr, status } = spawnSync("psql", args, { encoding: "utf8", input: script });
    expect(status, `${stdout}${stderr}`).toBe(0);
    return stdout.trim();
  };
  beforeAll(() => {
    database = postgresForTests();
    for (const file of ["0006_metric_windows.sql", "0008_first_byte.sql"]) {
      ran(readText(`packages/sql/migrations/${file}`));
    }
    ran(rows);
  }, 60_000);
  afterAll(() => database.drop());

  it("says how each arm did", () => {
    expect(ran(blockWith("succeeded_percent"))).toBe("ai|100|90.0|10.0\nstub|7|0.0|0.0");
  });

  it("says what the clients were sent", () => {
    expect(ran(blockWith("AS responses"))).toBe("200|97\n401|3\n502|10");
  });

  it("says the p95, within 1 %", () => {
    const [ai = "", stub] = ran(blockWith("p95_ms")).split("\n");
    expect(ai).toMatch(/^ai\|openai\|100\|\d+$/);
    expect(Math.abs(Number(ai.split("|")[3]) / 2000 - 1)).toBeLessThanOrEqual(0.01);
    expect(stub).toBe("stub||7|0");
  });

  it("deletes what is old", () => {
    const left = "SELECT count(*) FROM metric_windows";
    expect(ran(left)).toBe("8");
    ran(blockWith("30 days"));
    expect(ran(left)).toBe("7");
  });

  it("is all of it", () => {
    expect(blocks).toHaveLength(4);
  });

  it("has a column for each in the page's table, and none besides but when it was written", () => {
    const listed = codesOf(tableUnder(readPage(readText(page)), "What a row holds"), "column");
    const columns = ran(
      "SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'metric_windows'::regclass AND attnum > 0",
    ).split(" ");
    expect(columns.toSorted()).toEqual([...listed, "written_at"].toSorted());
  });
});

describe("the wiring of the page", () => {
  it("counts what authentication refuses and what is answered, and at SIGTERM writes that and ends", async () => {
    const app = startProcess(fileURLToPath(new URL("metrics-in-sql-app.ts", import.meta.url)));
    onTestFinished(async () => void (await app.kill()));
    const [, port = ""] = await app.printed(/listening on (\d+)/);
    const ask = async (headers: Readonly<Record<string, string>>): Promise<number> => {
      const response = await fetch(`http://127.0.0.1:${port}/api/faq`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ text: "When do you open?" }),
      });
      await response.arrayBuffer();
      return response.status;
    };
    expect(await ask({})).toBe(401);
    expect(await ask({ authorization: "alice" })).toBe(200);
    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
    const told = app.stdout.replaceAll("\\", "");
    expect(told).toContain('"401":1');
    expect(told).toContain('"200":1');
    expect(told).toContain('"SUCCEEDED":1');
    expect(app.stderr).toBe("");
  }, 20_000);
});
