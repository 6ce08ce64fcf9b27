import { randomBytes } from "node:crypto";
import {
  findPostgresBin,
  postgresAnswers,
  postgresForTests,
  privatePostgres,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { postgres } from "./postgres.ts";
import { readBlockers, type Blocker } from "./read-blockers.ts";

const isCi = process.env["CI"] === "true";
const statement = "UPDATE flags SET enabled = false WHERE name = 'f'";

/** A database of the test's own. */
function openDatabase(): string {
  const server = postgresForTests();
  onTestFinished(server.drop);
  return server.connectionString;
}

/** A database with one flag, and connections to it by the application's name. */
async function openFlags(connectionString: string) {
  const open = (applicationName: string, url = connectionString): SqlDatabase => {
    const db = postgres({ connectionString: url, applicationName, statementTimeoutMs: 60_000 });
    onTestFinished(() => db.close());
    return db;
  };
  const db = open("looker");
  await db.exec(
    "CREATE TABLE flags (name text, enabled boolean); INSERT INTO flags VALUES ('f', true)",
  );
  return { db, open };
}

/** Runs the statement in a transaction of its own; the pid is known once it is about to wait. */
async function send(db: SqlDatabase): Promise<{ pid: number; done: Promise<unknown> }> {
  const began = Promise.withResolvers<number>();
  const done = db.transaction(async (query) => {
    const { rows } = await query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    began.resolve(rows[0]?.pid ?? Number.NaN);
    await query(statement);
  });
  done.catch(began.reject);
  return { pid: await began.promise, done };
}

/** Once there are any. */
const untilBlocked = (db: SqlDatabase, pid: number): Promise<readonly Blocker[]> =>
  vi.waitFor(
    async () => {
      const blockers = await readBlockers(db, { pid });
      expect(blockers).not.toEqual([]);
      return blockers;
    },
    { timeout: 10_000, interval: 10 },
  );

describe.skipIf(!isCi && !postgresAnswers())("who blocks", { timeout: 60_000 }, () => {
  it.each(["SELECT FROM flags FOR UPDATE", "LOCK TABLE flags"])(
    "is told of %s: its process, role, application and since when",
    async (lock) => {
      const { db, open } = await openFlags(openDatabase());
      let waiting: Promise<unknown> | undefined;
      await open("holder").transaction(async (query) => {
        await query(lock);
        const { rows } = await query<{ pid: number; since: string }>(
          `SELECT pg_backend_pid() AS pid,
             to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since`,
        );
        const { pid, done } = await send(open("waiter"));
        waiting = done;
        expect(await untilBlocked(db, pid)).toEqual([
          { ...rows[0], role: "postgres", applicationName: "holder" },
        ]);
      });
      await waiting;
    },
  );

  it("is the one at the head of the queue, not who waits as well", async () => {
    const { db, open } = await openFlags(openDatabase());
    const waiting: Promise<unknown>[] = [];
    await open("holder").transaction(async (query) => {
      await query("SELECT FROM flags FOR UPDATE");
      for (const name of ["first", "second", "third"]) {
        const { pid, done } = await send(open(name));
        waiting.push(done);
        expect(await untilBlocked(db, pid)).toMatchObject([{ applicationName: "holder" }]);
      }
    });
    await Promise.all(waiting);
  });

  it("is nobody where nothing waits, and for a process that is none", async () => {
    const { db } = await openFlags(openDatabase());
    const { rows } = await db.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    expect(await readBlockers(db, { pid: rows[0]?.pid ?? Number.NaN })).toEqual([]);
    expect(await readBlockers(db, { pid: 2_147_483_647 })).toEqual([]);
  });

  it("is seen without its transaction's time by a role that may not see others", async () => {
    const connectionString = openDatabase();
    const { db, open } = await openFlags(connectionString);
    const role = `sluice_looker_${randomBytes(6).toString("hex")}`;
    await db.exec(`CREATE ROLE ${role} LOGIN`);
    onTestFinished(() => db.exec(`DROP ROLE ${role}`));
    const url = new URL(connectionString);
    url.username = role;
    let waiting: Promise<unknown> | undefined;
    await open("holder").transaction(async (query) => {
      await query("SELECT FROM flags FOR UPDATE");
      const { pid, done } = await send(open("waiter"));
      waiting = done;
      expect(await untilBlocked(open("looker", url.href), pid)).toEqual([
        {
          pid: expect.any(Number) as number,
          role: "postgres",
          applicationName: "holder",
          since: undefined,
        },
      ]);
    });
    await waiting;
  });
});

describe.skipIf(!isCi && findPostgresBin() === undefined)("a prepared transaction", () => {
  it("blocks without a process", { timeout: 60_000 }, async () => {
    const server = await privatePostgres({ settings: { max_prepared_transactions: 1 } });
    onTestFinished(() => server.remove());
    const { db, open } = await openFlags(server.connectionString);
    await db.exec("BEGIN; UPDATE flags SET enabled = true; PREPARE TRANSACTION 'forgotten'");
    const { pid, done } = await send(open("waiter"));
    expect(await untilBlocked(db, pid)).toEqual([
      { pid: 0, role: undefined, applicationName: undefined, since: undefined },
    ]);
    await db.exec("ROLLBACK PREPARED 'forgotten'");
    await done;
  });
});
