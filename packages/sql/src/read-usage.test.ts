import { readFileSync } from "node:fs";
import { describeOnDatabases } from "@sluice/testkit";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { sqlNames } from "./names.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { readUsage } from "./read-usage.ts";

const migration = readFileSync(new URL("../migrations/0003_records.sql", import.meta.url), "utf8");
/** A day of Berlin. */
const from = new Date("2026-11-27T23:00:00Z");
const to = new Date("2026-11-28T23:00:00Z");
const secondMs = 1000;

const openers = {
  postgres: (connectionString: string): SqlDatabase => postgres({ connectionString }),
  pglite: (): SqlDatabase => pglite(),
};

interface Row {
  readonly endedAt?: Date;
  readonly latencyMs?: number | null;
  readonly feature?: string | null;
  readonly provider?: string | null;
  readonly input?: number | null;
  readonly output?: number | null;
  readonly cost?: number | null;
}

const later = (than: Date, ms: number): Date => new Date(than.getTime() + ms);

const query = (): never => {
  throw new Error("asked");
};

describe("readUsage", () => {
  it.each([
    [{ from: new Date(Number.NaN), to }, /readUsage\.from: got /],
    [{ from, to, features: "faq_ai" }, /readUsage\.features: got "faq_ai"/],
    [{ from, to, day: 1 }, /readUsage\.day: got an unknown option/],
  ])("does not take %j", async (options, message) => {
    await expect(readUsage({ query }, options as never)).rejects.toThrow(message);
  });
});

describeOnDatabases("readUsage", openers, (open) => {
  // One database for all of them, because PGlite takes seconds to start.
  let db: SqlDatabase;
  const names = { prefix: "p3_" };
  const table = sqlNames(names).table("ai_training_examples");
  beforeAll(async () => {
    db = await open();
    await db.exec(sqlNames(names).render(migration));
  }, 60_000);
  beforeEach(() => db.exec(`TRUNCATE ${table}`));

  const insert = async (...rows: readonly Row[]): Promise<void> => {
    for (const row of rows) {
      const { endedAt = later(from, 3600 * secondMs), latencyMs = 0, feature = "faq_ai" } = row;
      const { provider = "openai", input = 100, output = 20, cost = 1000 } = row;
      await db.query(
        `INSERT INTO ${table} (created_at, latency_ms, feature, selected_provider, input_tokens,
           output_tokens, cost_nano_usd) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        [endedAt.toISOString(), latencyMs, feature, provider, input, output, cost],
      );
    }
  };
  const read = (features?: readonly string[]) =>
    readUsage(db, { from, to, names, ...(features !== undefined && { features }) });

  it("adds up nothing where nothing is", async () => {
    expect(await read()).toEqual({
      features: [],
      counted: 0,
      uncounted: 0,
      tokens: 0,
      costNanoUsd: 0,
    });
  });

  it("adds up what was told, and counts who told nothing", async () => {
    await insert(
      {},
      { feature: "chat_ai", input: 7, output: null, cost: 50 },
      { input: null, output: null, cost: null },
      // Sent to the safe path: nobody was called.
      { feature: "quiet_ai", provider: null, input: null, output: null, cost: null },
      // A row of the product's own.
      { feature: null, provider: null },
    );
    expect(await read()).toEqual({
      features: ["chat_ai", "faq_ai"],
      counted: 2,
      uncounted: 1,
      tokens: 127,
      costNanoUsd: 1050,
    });
  });

  it("reads the features that are named, and no other", async () => {
    await insert({}, { feature: "chat_ai" }, { feature: "other_ai" });
    expect(await read(["faq_ai", "chat_ai", "unknown_ai"])).toMatchObject({
      features: ["chat_ai", "faq_ai"],
      counted: 2,
    });
    expect(await read(["faq_ai'; DROP TABLE x; --"])).toMatchObject({ counted: 0 });
    expect(await read([])).toMatchObject({ counted: 0 });
  });

  it("goes by when a request began: one over midnight is of the day before", async () => {
    await insert(
      { endedAt: from, input: 1, output: 0 },
      { endedAt: later(from, 2 * secondMs), latencyMs: 2001, input: 10, output: 0 },
      { endedAt: later(to, 2 * secondMs), latencyMs: 2001, input: 100, output: 0 },
      { endedAt: later(to, 2 * secondMs), latencyMs: 2000, input: 1000, output: 0 },
      { endedAt: later(to, -1), latencyMs: null, input: 10_000, output: 0 },
      { endedAt: later(from, -1), latencyMs: null, input: 100_000, output: 0 },
    );
    expect(await read()).toMatchObject({ counted: 3, tokens: 10_101 });
  });

  it("adds up millions of dollars to the nano-dollar", async () => {
    const dear = 4_000_000_000_000_000;
    await insert({ cost: dear }, { cost: dear });
    expect(await read()).toMatchObject({ costNanoUsd: 2 * dear });
  });

  it("tells where the table is missing", async () => {
    await expect(readUsage(db, { from, to, names: { prefix: "no_" } })).rejects.toMatchObject({
      code: "42P01",
    });
  });
});
