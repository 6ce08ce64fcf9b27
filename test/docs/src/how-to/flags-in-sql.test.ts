import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { bucketOf } from "@sluice/policy";
import { readInstances } from "@sluice/sql";
import { postgresAnswers, postgresForTests } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { readPage } from "../read-page.ts";
import { readText, ROOT } from "../repository.ts";
import { page, wire } from "./flags-in-sql.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const blocks = readPage(readText(page))
  .blocks.filter(({ language }) => language === "sql")
  .map(({ text }) => text);

/** The one block that has the words. */
function blockWith(words: string): string {
  const [block, ...others] = blocks.filter((text) => text.includes(words));
  if (block === undefined || others.length > 0) throw new Error(`no one block has: ${words}`);
  return block;
}

/** Each statement is a psql of its own. */
const patiently = { timeout: 60_000 };
/** A role of PostgreSQL's own that is not the one that psql logs in as. */
const asAnother = "SET SESSION AUTHORIZATION pg_write_all_data;";
const asRead = readAs("faq_ai");

function readAs(feature: string): string {
  return `SELECT enabled, rollout_percent, killed FROM feature_state WHERE feature_name = '${feature}'`;
}

describe.skipIf(skipped)("the SQL of the page, in psql", () => {
  let database: ReturnType<typeof postgresForTests>;

  const psql = (script: string): { readonly printed: string; readonly status: number | null } => {
    const args = ["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", database.connectionString];
    const { stdout, stderr, status } = spawnSync("psql", args, { encoding: "utf8", input: script });
    return { printed: `${stdout}${stderr}`.trim(), status };
  };
  const ran = (script: string): string => {
    const { printed, status } = psql(script);
    expect(status, printed).toBe(0);
    return printed;
  };

  beforeAll(() => {
    database = postgresForTests();
    const folder = join(ROOT, "packages/sql/migrations");
    for (const file of globSync("*.sql", { cwd: folder }).toSorted()) {
      ran(`SET client_min_messages = warning;\n${readText(`packages/sql/migrations/${file}`)}`);
    }
  }, patiently.timeout);
  afterAll(() => database.drop());

  it("opens, shuts, protects, widens with an approval, kills and is audited", patiently, () => {
    ran(blockWith("VALUES ('faq_ai')"));
    expect(ran(asRead)).toBe("t|20|f");
    ran(blockWith("rollout_percent = 0"));
    expect(ran(asRead)).toBe("f|0|f");

    ran(blockWith("protected = true"));
    const widen = blockWith("rollout_percent = 50");
    expect(psql(widen).printed).toContain("feature faq_ai is protected");
    ran(`${asAnother}\n${blockWith("request_flag_change")}`);
    const approve = blockWith("approve_flag_change");
    expect(psql(approve.replace("SELECT", `${asAnother}\nSELECT`)).status).toBe(3);
    ran(approve);
    ran(widen);
    expect(ran(asRead)).toBe("t|50|f");

    ran(blockWith("sluice.reason"));
    expect(ran(asRead)).toBe("t|50|t");
    expect(ran("SELECT reason FROM flag_audit ORDER BY id DESC LIMIT 1")).toBe(
      "the answers are wrong since noon",
    );
  });

  it("says the bucket that the guard has", () => {
    expect(ran(blockWith("sha256"))).toBe(String(bucketOf("faq_ai", "client-7")));
  });

  it("disables a provider, and moves the default", patiently, () => {
    const providers =
      "SELECT provider, enabled, is_default FROM ai_provider_configs ORDER BY position";
    expect(ran(providers)).toBe("openai|t|t\ncustom|t|f");
    ran(blockWith("SET enabled = false WHERE environment"));
    expect(ran(providers)).toBe("openai|t|t\ncustom|f|f");
    ran(blockWith("is_default = false"));
    expect(ran(providers)).toBe("openai|t|f\ncustom|t|t");
  });

  it("moves the gateway, and takes it back", patiently, () => {
    ran(blockWith("ff_chat_gateway_enabled"));
    expect(ran(readAs("ff_chat_gateway_enabled"))).toBe("f|100|f");
  });

  it("is all of it", () => {
    expect(blocks).toHaveLength(12);
  });
});

describe.skipIf(skipped)("the wiring of the page", () => {
  it("is closed without a row, opens by one, and is a process that `sluice kill` waits for", async () => {
    const database = postgresForTests();
    onTestFinished(() => database.drop());
    const { db, flags, instance, guard } = await wire(database.connectionString);
    onTestFinished(async () => {
      guard.close();
      await instance.close();
      flags.close();
      await db.close();
    });
    expect(await guard.run("hello", { subject: "ann" })).toMatchObject({ reason: "FLAG_OFF" });
    for (const statement of blockWith("VALUES ('faq_ai')").split("\n")) {
      await db.query(statement);
    }
    await vi.waitFor(() => expect(guard.describe().percent).toBe(20), patiently);
    await vi.waitFor(async () => {
      const { alive } = await readInstances(db, { feature: "faq_ai", version: 1 });
      expect(alive).toBe(1);
    }, patiently);
    const stages: boolean[] = [];
    for (const statement of blockWith("ff_chat_gateway_enabled").split("\n")) {
      await db.query(statement);
      const before = stages.at(-1) ?? false;
      await vi.waitFor(
        () => expect(guard.switches().FF_CHAT_GATEWAY_ENABLED).toBe(!before),
        patiently,
      );
      stages.push(!before);
    }
    expect(stages).toEqual([true, false]);
  }, 60_000);
});
