import { postgres } from "@sluice/sql";
import { postgresAnswers, postgresForTests } from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const text = readText("docs/runbooks/kill-switch.md");
const [whoBlocks = "", ...others] = readPage(text)
  .blocks.filter(({ language }) => language === "sql")
  .map((block) => block.text);

describe.skipIf(skipped)("the SQL of the kill-switch's runbook", () => {
  it("tells who keeps the UPDATE of its table waiting", { timeout: 30_000 }, async () => {
    expect(others).toEqual([]);
    const server = postgresForTests();
    onTestFinished(server.drop);
    const open = (applicationName: string) => {
      const db = postgres({ connectionString: server.connectionString, applicationName });
      onTestFinished(() => db.close());
      return db;
    };
    const looker = open("looker");
    const [update = ""] = /UPDATE feature_state SET killed = true[^`]*/.exec(text) ?? [];
    await looker.exec(
      "CREATE TABLE feature_state (feature_name text, killed boolean); INSERT INTO feature_state VALUES ('<name>')",
    );
    let killing: Promise<unknown> = Promise.resolve();
    await open("forgotten").transaction(async (query) => {
      const { rows } = await query("SELECT pg_backend_pid() AS pid FROM feature_state FOR UPDATE");
      killing = open("killer").query(update);
      await vi.waitFor(
        async () =>
          expect((await looker.query(whoBlocks)).rows).toMatchObject([
            { ...rows[0], usename: "postgres", application_name: "forgotten" },
          ]),
        { timeout: 10_000, interval: 20 },
      );
    });
    expect(await killing).toMatchObject({ affected: 1 });
  });

  it("can keep a role from idling in a transaction", async () => {
    const [setting = ""] = /ALTER ROLE <role> [^`]*/.exec(text) ?? [];
    const server = postgresForTests();
    onTestFinished(server.drop);
    const db = postgres({ connectionString: server.connectionString });
    onTestFinished(() => db.close());
    const undone = db.transaction(async (query) => {
      await query("CREATE ROLE sluice_idle");
      await query(setting.replace("<role>", "sluice_idle"));
      const { rows } = await query(
        "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'sluice_idle'::regrole",
      );
      expect(rows).toEqual([{ setconfig: ["idle_in_transaction_session_timeout=30s"] }]);
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
  });
});
