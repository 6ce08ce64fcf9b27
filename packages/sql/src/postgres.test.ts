import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  postgresAnswers,
  postgresForTests,
  startProcess,
  type TestPostgres,
} from "@sluice/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { postgres, type PostgresOptions } from "./postgres.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("postgres", { timeout: 20_000 }, () => {
  let server: TestPostgres;
  const opened: SqlDatabase[] = [];
  let folder: string;
  beforeAll(async () => {
    server = postgresForTests();
    folder = await mkdtemp(join(tmpdir(), "sluice-postgres-"));
  });
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close();
  });
  afterAll(async () => {
    server.drop();
    await rm(folder, { recursive: true });
  });

  const open = (options: PostgresOptions = {}): SqlDatabase => {
    const database = postgres({ connectionString: server.connectionString, ...options });
    opened.push(database);
    return database;
  };

  it("tells once that a listening connection was ended, and hears nothing after it", async () => {
    const database = open();
    const ended = Promise.withResolvers<Error | undefined>();
    let ends = 0;
    const listener = await database.listen("sluice_changed", {
      onNotify: () => undefined,
      onEnd: (error) => {
        ends += 1;
        ended.resolve(error);
      },
    });
    await terminate(database, await pidOf(listener));
    expect(await ended.promise).toMatchObject({ code: "57P01" });
    await expect(listener.query("select 1")).rejects.toThrow("The listener is closed.");
    listener.close();
    await database.close();
    expect(ends).toBe(1);
  });

  it("goes on when an idle connection of the pool was ended", async () => {
    const [database, other] = [open(), open()];
    const pid = await pidOf(database);
    await terminate(other, pid);
    // The first call may still meet the dead connection.
    await database.query("select 1").catch(() => undefined);
    expect(await pidOf(database)).not.toBe(pid);
  });

  it("rejects a transaction whose connection was ended, and goes on", async () => {
    const [database, other] = [open({ poolSize: 1 }), open()];
    const work = database.transaction(async (query) => {
      await terminate(other, await pidOf({ query }));
      await query("select 1");
    });
    await expect(work).rejects.toThrow(/terminat|connection/i);
    expect((await database.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("gives a statement up that takes too long, and keeps its connection", async () => {
    const database = open({ statementTimeoutMs: 100, poolSize: 1 });
    const pid = await pidOf(database);
    await expect(database.query("select pg_sleep(30)")).rejects.toMatchObject({ code: "57014" });
    expect(await pidOf(database)).toBe(pid);
  });

  it("gives up nothing of an unhurried transaction, and goes on with its limits after it", async () => {
    const database = open({ statementTimeoutMs: 100, poolSize: 1 });
    // Longer than the server's limit and than ours, which is 500 ms more.
    const slow = "select pg_sleep(0.8)";
    await database.transaction((query) => query(slow), { unhurried: true });
    await expect(database.query(slow)).rejects.toMatchObject({ code: "57014" });
    await expect(database.transaction((query) => query(slow))).rejects.toMatchObject({
      code: "57014",
    });
  });

  it("tells by its code that no connection of the pool became free", async () => {
    const database = open({ poolSize: 1, connectTimeoutMs: 50 });
    await database.transaction(async () => {
      await expect(database.query("select 1")).rejects.toMatchObject({ code: "ETIMEDOUT" });
    });
  });

  it("keeps no connection that was left inside a transaction", async () => {
    const database = open({ poolSize: 1 });
    const pid = await pidOf(database);
    await database.query("begin");
    expect(await pidOf(database)).not.toBe(pid);
  });

  it("rejects what is running when it is closed", async () => {
    const database = open();
    const other = open();
    const started = Promise.withResolvers<void>();
    const running = database.transaction(async (query) => {
      started.resolve();
      await query("select pg_sleep(30)");
    });
    await started.promise;
    await Promise.all([expect(running).rejects.toThrow("Connection terminated"), database.close()]);
    expect((await other.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("names the application to the server", async () => {
    const database = open({ applicationName: "chat" });
    const { rows } = await database.query("select current_setting('application_name') as name");
    expect(rows).toEqual([{ name: "chat" }]);
  });

  it("lets the process end while it is idle and listens", async () => {
    const script = join(folder, "idle.ts");
    await writeFile(
      script,
      `import { postgres } from ${JSON.stringify(new URL("./postgres.ts", import.meta.url).href)};
      const database = postgres({ connectionString: process.argv[2] });
      await database.listen("x", { onNotify() {}, onEnd: console.log });
      await database.query("select 1");
      console.log("listening");`,
    );
    const child = startProcess(script, { args: [server.connectionString] });
    expect(await child.ended, child.stderr).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe("listening\n");
  });
});

describe("postgres without a server that answers", () => {
  let server: Server;
  const sockets: Socket[] = [];
  let silent: string;
  beforeAll(async () => {
    server = createServer((socket) => sockets.push(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    silent = `postgresql://u:secret@127.0.0.1:${port}/d`;
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it("gives up after the connect timeout, for a query and for a listener", async () => {
    const database = postgres({ connectionString: silent, connectTimeoutMs: 50 });
    const handlers = { onNotify: () => undefined, onEnd: () => expect.unreachable() };
    const timedOut = { code: "ETIMEDOUT" };
    await expect(database.query("select 1")).rejects.toMatchObject(timedOut);
    await expect(database.listen("x", handlers)).rejects.toMatchObject(timedOut);
    await database.close();
  });

  it("closes at once while it connects", async () => {
    const database = postgres({ connectionString: silent, connectTimeoutMs: 100 });
    const query = database.query("select 1");
    await Promise.all([expect(query).rejects.toThrow("timeout"), database.close()]);
  });

  it("refuses a connection string that cannot be read, without showing it", () => {
    expect(() => postgres({ connectionString: "postgresql://u:secret@ho st:port/d" })).toThrow(
      "postgres.connectionString: got a string (not shown), expected a URL",
    );
  });

  it("refuses options that it does not know, and wrong ones", () => {
    expect(() => postgres({ poolSize: 0 })).toThrow("postgres.poolSize: got 0");
    expect(() => postgres({ pool: 1 } as PostgresOptions)).toThrow("postgres.pool: got");
  });
});

async function pidOf(database: Pick<SqlDatabase, "query">): Promise<number> {
  const { rows } = await database.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid ?? 0;
}

async function terminate(database: SqlDatabase, pid: number): Promise<void> {
  await database.query("select pg_terminate_backend($1, 5000)", [pid]);
}
