import { fileURLToPath } from "node:url";
import type { SqlDatabase } from "@sluice/sql";
import {
  findPostgresBin,
  FakeClock,
  privatePostgres,
  runPsql,
  startProcess,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { prepareTables } from "./prepare-tables.ts";

const refused = (): Promise<never> => Promise.reject(new Error("not asked for"));

/** A database that can't be reached, by the given codes in turn, the last one for ever. */
function away(...codes: readonly string[]) {
  let tries = 0;
  const query = (): Promise<never> => {
    const code = codes[Math.min(tries, codes.length - 1)];
    tries += 1;
    return Promise.reject(Object.assign(new Error("an address that nobody may read"), { code }));
  };
  const db: SqlDatabase = {
    kind: "postgres",
    query,
    exec: refused,
    transaction: refused,
    listen: refused,
    close: () => Promise.resolve(),
  };
  return { database: { db, variable: "DATABASE_URL" as const }, tries: () => tries };
}

async function prepare(...codes: readonly string[]) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const { database, tries } = away(...codes);
  const preparation = await prepareTables(database, {
    clock,
    random: () => 0.5,
    onChange: (line) => lines.push(line),
  });
  return { clock, lines, tries, preparation };
}

describe("the tables of a database that is away", () => {
  it("are tried for again at growing distances, of half a minute at most", async () => {
    const { clock, tries, preparation } = await prepare("ECONNREFUSED");
    expect(preparation.isPrepared).toBe(false);
    expect(tries()).toBe(1);
    for (const [waitMs, tried] of [
      [500, 2],
      [1000, 3],
      [2000, 4],
      [4000, 5],
      [8000, 6],
      [16_000, 7],
      [30_000, 8],
      [30_000, 9],
    ] as const) {
      await clock.advanceAsync(waitMs - 1);
      expect(tries()).toBe(tried - 1);
      await clock.advanceAsync(1);
      expect(tries()).toBe(tried);
    }
    preparation.stop();
  });

  it("are told of once for each cause, by its code alone", async () => {
    const { clock, lines, preparation } = await prepare("ECONNREFUSED", "ECONNREFUSED", "57P03");
    await clock.advanceAsync(60_000);
    expect(lines).toEqual([
      "DATABASE_URL: ECONNREFUSED; chat_ai stays closed until its flags can be read",
      "DATABASE_URL: 57P03; chat_ai stays closed until its flags can be read",
    ]);
    preparation.stop();
  });

  it("are given up when it is told to stop", async () => {
    const { clock, tries, preparation } = await prepare("ECONNREFUSED");
    preparation.stop();
    await clock.advanceAsync(60_000);
    expect(tries()).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });
});

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const skipped = process.env["CI"] !== "true" && findPostgresBin() === undefined;
const title = `the app before its database${skipped ? " (skipped: no PostgreSQL server is installed)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 60_000 }, () => {
  it("serves the safe path, makes its tables once the database is there, and obeys them", async () => {
    const server = await privatePostgres();
    onTestFinished(() => server.remove());
    await server.stop();
    const app = startProcess(main, {
      env: {
        PORT: "0",
        DATABASE_URL: server.connectionString,
        FF_CHAT_GATEWAY_ENABLED: "true",
      },
    });
    onTestFinished(async () => void (await app.kill()));
    const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
    const path = async (): Promise<string | null> => {
      const response = await fetch(`${url}/api/chat`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }),
      });
      expect(response.status).toBe(200);
      return response.headers.get("sluice-path");
    };
    expect(await path()).toBe("legacy");
    await app.printed(/^DATABASE_URL: ECONNREFUSED; chat_ai stays closed/m);

    await server.start();
    await app.printed(/^DATABASE_URL: the tables are ready$/m);
    expect(await path()).toBe("legacy");
    runPsql(
      server.connectionString,
      "UPDATE feature_state SET enabled = true, rollout_percent = 100 WHERE feature_name = 'chat_ai'",
    );
    await vi.waitFor(async () => expect(await path()).toBe("ai"), { interval: 20, timeout: 5000 });
    const told = app.stderr.split("\n").filter((line) => line.startsWith("DATABASE_URL"));
    // A server that starts may refuse for another reason for a moment.
    expect(told.length).toBeLessThanOrEqual(3);
    expect(new Set(told).size).toBe(told.length);
    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
  });

  it("ends when it is told to while it waits", async () => {
    const app = startProcess(main, {
      env: { PORT: "0", DATABASE_URL: "postgresql://postgres@127.0.0.1:9/none" },
    });
    onTestFinished(async () => void (await app.kill()));
    await app.printed(/^chat-express listens on/m);
    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
    expect(app.stderr).not.toContain("at ");
  });
});
