import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { FakeClock } from "@sluice/testkit";
import * as fc from "fast-check";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { findPglite } from "./find-pglite.ts";
import { encodeInt32, encodeMessage } from "./pg-wire.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "sluice-socket-"));
});
afterAll(() => rm(scratch, { recursive: true }));

async function servedAt(folder: string): Promise<string> {
  return vi.waitFor(() => {
    const found = findPglite(folder);
    if (found.state !== "served") throw new Error(found.state);
    return found.connectionString;
  }, 30_000);
}

/** How a client begins. */
function startup(code = 196_608, ...texts: readonly string[]): Buffer {
  const body = Buffer.concat([
    encodeInt32(code),
    Buffer.from(`${texts.map((text) => `${text}\0`).join("")}\0`),
  ]);
  return Buffer.concat([encodeInt32(body.length + 4), body]);
}

const ask = (client: Client, text: string) =>
  client.query<{ v: string }>({ name: "same", text, values: [] });

const ready = encodeMessage("Z", Buffer.from("I")).toString("latin1");

describe("the socket of PGlite", { timeout: 60_000 }, () => {
  const clock = new FakeClock();
  const clients: Client[] = [];
  const sockets: Socket[] = [];
  let folder: string;
  let app: SqlDatabase;
  let url: string;

  beforeAll(async () => {
    folder = join(scratch, "served");
    app = pglite({ folder, socket: { clock, randomBytes } });
    await app.exec("create table t (n int); create table parts (who text, part int)");
    url = await servedAt(folder);
  }, 60_000);
  afterAll(() => app.close());
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end().catch(() => undefined);
    for (const socket of sockets.splice(0)) socket.destroy();
    // What a test left is rolled back before the next looks.
    await app.exec("truncate t, parts");
  });

  const dial = async (name = "test", password?: string): Promise<Client> => {
    const at = new URL(url);
    if (password !== undefined) at.password = password;
    const client = new Client({ connectionString: at.href, application_name: name });
    client.on("error", () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  };
  const rowsOf = async (table = "t") => (await app.query(`select * from ${table}`)).rows;
  const psql = async (script: string, at = url) => {
    const child = spawn("psql", ["--no-psqlrc", "-qAt", at], { stdio: "pipe" });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (printed += text));
    child.stdin.end(script);
    const [status] = (await once(child, "close")) as [number | null];
    return { status, printed: printed.trim() };
  };
  /** A client that says what it likes. */
  const raw = async (...said: readonly Buffer[]) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    sockets.push(socket);
    let heard = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      heard = Buffer.concat([heard, chunk]);
    });
    socket.on("error", () => undefined);
    const closed = new Promise<string>((resolve) => {
      socket.once("close", () => resolve(heard.toString("latin1")));
    });
    await once(socket, "connect");
    for (const bytes of said) socket.write(bytes);
    return { socket, closed, heard: () => heard.toString("latin1") };
  };
  const password = (): Buffer => encodeMessage("p", decodeURIComponent(new URL(url).password));

  it("answers psql, statement by statement and in a transaction, with its errors", async () => {
    expect(await psql("select 1 + 1; select 'a'; select 'b';")).toEqual({
      status: 0,
      printed: "2\na\nb",
    });
    expect((await psql("begin; insert into t values (1); commit; selec;")).printed).toContain(
      'syntax error at or near "selec"',
    );
    expect(await rowsOf()).toEqual([{ n: 1 }]);
    const wrong = new URL(url);
    wrong.password = "wrong";
    const refused = await psql("select 1", wrong.href);
    expect(refused).toMatchObject({ status: 2 });
    expect(refused.printed).toContain("not the token");
    expect(refused.printed).not.toContain(new URL(url).password);
  });

  it("answers our own postgres(), and hears its notifications at once", async () => {
    const database = postgres({ connectionString: url, applicationName: "cli" });
    try {
      const { rows } = await database.query(
        "select current_setting('application_name') as name, 9007199254740993 as big, $1::date as day",
        ["2026-02-03"],
      );
      expect(rows).toEqual([{ name: "cli", big: 9_007_199_254_740_993n, day: "2026-02-03" }]);
      await database.exec("insert into t values (1); insert into t values (2)");
      await expect(database.query("select 1/0")).rejects.toMatchObject({ code: "22012" });
      await expect(
        database.transaction(async (query) => {
          await query("insert into t values (3)");
          throw new Error("no");
        }),
      ).rejects.toThrow("no");
      expect(await rowsOf()).toEqual([{ n: 1 }, { n: 2 }]);

      const heard: string[] = [];
      const listener = (on: string) => ({
        onNotify: (payload: string) => void heard.push(`${on} ${payload}`),
        onEnd: () => undefined,
      });
      const outside = await database.listen('Odd "one', listener("outside"));
      const inside = await app.listen("news", listener("inside"));
      await database.query("select pg_notify('news', 'a'), pg_notify('Odd \"one', 'b')");
      await app.query("select pg_notify('Odd \"one', 'c')");
      await vi.waitFor(() =>
        expect(heard.toSorted()).toEqual(["inside a", "outside b", "outside c"]),
      );
      outside.close();
      inside.close();
      await vi.waitFor(async () => {
        const channels = await app.query("select pg_listening_channels() as c");
        expect(channels.rows).not.toContainEqual({ c: 'Odd "one' });
      });
    } finally {
      await database.close();
    }
  });

  it("keeps the app out of a client's transaction, and the client out of the app's", async () => {
    const client = await dial();
    await client.query("begin");
    await client.query("insert into t values (1)");
    const waiting = app.query("select count(*)::int as n from t");
    await client.query("insert into t values (2)");
    await client.query("rollback");
    expect((await waiting).rows).toEqual([{ n: 0 }]);
    const { promise, resolve } = Promise.withResolvers<void>();
    const failing = app.transaction(async (query) => {
      await query("insert into t values (3)");
      await promise;
      await query("select 1/0");
    });
    failing.catch(() => undefined);
    const written = client.query("insert into t values (4)");
    // So that it has arrived.
    await dial();
    resolve();
    await expect(failing).rejects.toMatchObject({ code: "22012" });
    await written;
    expect(await rowsOf()).toEqual([{ n: 4 }]);
  });

  it("each transaction is whole, however app and clients interleave", async () => {
    const members = await Promise.all(
      ["a", "b"].map(async (who) => ({ who, client: await dial(who) })),
    );
    const turn = fc.record({
      who: fc.constantFrom("a", "b", "app"),
      commit: fc.boolean(),
      failing: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 12 }), async (turns) => {
        await app.exec("truncate parts");
        const done = { a: Promise.resolve(), b: Promise.resolve() };
        const seen: number[] = [];
        const expected = new Set<string>();
        const works = turns.map(async ({ who, commit, failing }, index) => {
          const name = `${who}${index}`;
          const kept = commit && !failing;
          if (kept) expected.add(name);
          const write = `insert into parts values ('${name}', 1)`;
          if (who === "app") {
            await app
              .transaction(async (query) => {
                await query(write);
                if (!kept) throw new Error("undone");
                await query(write);
              })
              .catch(() => undefined);
          } else {
            const client = members.find((member) => member.who === who)?.client;
            const mine = async () => {
              await client?.query("begin");
              await client?.query(write);
              if (failing) await client?.query("select 1/0").catch(() => undefined);
              else await client?.query("insert into parts values ($1, 1)", [name]);
              await client?.query(commit ? "commit" : "rollback");
            };
            const key = who;
            done[key] = done[key].then(mine);
            await done[key];
          }
          const { rows } = await app.query<{ n: number }>(
            "select count(*)::int as n from parts group by who",
          );
          seen.push(...rows.map(({ n }) => n));
        });
        await Promise.all(works);
        expect(new Set(seen)).toEqual(new Set(seen.length === 0 ? [] : [2]));
        const { rows } = await app.query<{ who: string }>("select distinct who from parts");
        expect(new Set(rows.map(({ who }) => who))).toEqual(expected);
      }),
      { numRuns: 25 },
    );
  });

  it("rolls a transaction back that keeps the app waiting for 10 seconds", async () => {
    const client = await dial();
    await client.query("begin; insert into t values (1)");
    const waiting = rowsOf();
    clock.advance(9_999);
    await client.query("select 1");
    const ended = once(client, "error");
    clock.advance(1);
    expect(await waiting).toEqual([]);
    expect(await ended).toMatchObject([{ code: "25P03" }]);
  });

  it("rolls back what a client that vanishes leaves open, in either protocol", async () => {
    const client = await dial();
    await client.query("begin; insert into t values (1)");
    client.connection.stream.destroy();
    expect(await rowsOf()).toEqual([]);

    // Up to Flush: its implicit transaction waits for a Sync.
    const parse = encodeMessage("P", "", "insert into t values (2)", Buffer.alloc(2));
    const bind = encodeMessage("B", "", "", Buffer.alloc(6));
    const execute = encodeMessage("E", "", Buffer.alloc(4));
    const open = await raw(startup(), password(), parse, bind, execute, encodeMessage("H"));
    await vi.waitFor(() => expect(open.heard()).toContain("INSERT 0 1"));
    open.socket.destroy();
    expect(await rowsOf()).toEqual([]);
  });

  it("hands nothing that a client set to the app or another client", async () => {
    const [one, two] = [await dial("one"), await dial("two")];
    await one.query(
      "set search_path = pg_catalog; set role pg_monitor; create temp table feature (n int)",
    );
    await one.query("set session authorization pg_monitor");
    await one.query("unlisten *");
    const who =
      "select current_user::text as u, session_user::text as s, current_setting('search_path') as p, to_regclass('feature') as t, current_setting('application_name') as a";
    const own = { u: "postgres", s: "postgres", p: "public", t: null };
    expect((await app.query(who)).rows).toEqual([{ ...own, a: "" }]);
    expect((await two.query(who)).rows).toEqual([{ ...own, a: "two" }]);
    expect((await one.query(who)).rows).toEqual([{ ...own, a: "one" }]);
  });

  it("goes on listening for the app when a client listens to nothing", async () => {
    const heard: string[] = [];
    const listener = await app.listen("kept", {
      onNotify: (payload) => void heard.push(payload),
      onEnd: () => undefined,
    });
    const client = await dial();
    await client.query("unlisten *");
    await client.query("discard all");
    await client.query("notify kept, 'x'");
    await vi.waitFor(() => expect(heard).toEqual(["x"]));
    listener.close();
  });

  it("keeps prepared statements of two clients apart, also of the same name", async () => {
    const [one, two] = [await dial(), await dial()];
    for (let round = 0; round < 2; round += 1) {
      expect((await ask(one, "select 'one' as v")).rows).toEqual([{ v: "one" }]);
      expect((await ask(two, "select 'two' as v")).rows).toEqual([{ v: "two" }]);
    }
    await one.end();
    expect((await ask(two, "select 'two' as v")).rows).toEqual([{ v: "two" }]);
    await two.end();
    await vi.waitFor(async () => {
      const { rows } = await app.query("select name from pg_prepared_statements where name <> ''");
      expect(rows).toEqual([]);
    });
  });

  it("never runs another's statement for an unnamed one", async () => {
    const parse = encodeMessage("P", "", "select 'mine'", Buffer.alloc(2));
    const client = await raw(startup(), password(), parse, encodeMessage("S"));
    await vi.waitFor(() => expect(client.heard().split(ready)).toHaveLength(3));
    await app.query("select 'theirs'");
    client.socket.write(
      Buffer.concat([
        encodeMessage("B", "", "", Buffer.alloc(6)),
        encodeMessage("E", "", Buffer.alloc(4)),
        encodeMessage("S"),
      ]),
    );
    const heard = await client.closed;
    expect(heard).toContain("C26000");
    expect(heard).not.toContain("theirs");
  });

  it("refuses COPY FROM STDIN, for which PGlite would end the process", async () => {
    expect((await psql("copy t from stdin;\n1\n2\n\\.\nselect 'on';")).printed).toMatch(
      /COPY FROM STDIN is not supported[^]*on$/,
    );
    expect((await psql("copy (select 7) to stdout;")).printed).toBe("7");
    expect(await rowsOf()).toEqual([]);
  });

  it("lets nobody in without the token", async () => {
    await expect(dial("x", "wrong")).rejects.toMatchObject({ code: "28P01" });
    await expect(dial("x", "")).rejects.toThrow("password");
    for (const said of [
      encodeMessage("Q", "select 'in'"),
      encodeMessage("p", ""),
      encodeMessage("X"),
    ]) {
      const heard = await (await raw(startup(), said)).closed;
      expect(heard).toMatch(/C(?:08P01|28P01)/);
      expect(heard).not.toContain("in\0");
    }
    const { mode } = await stat(join(folder, "sluice-socket"));
    expect(mode & 0o777).toBe(0o600);
  });

  it("gives whoever does not sign in five seconds", async () => {
    const silent = await raw();
    const half = await raw(startup().subarray(0, 7));
    const nameless = await raw(startup());
    await vi.waitFor(() => expect(nameless.heard()).toContain("R"));
    const signedIn = await dial();
    clock.advance(5_000);
    for (const each of [silent, half, nameless])
      expect(await each.closed).toContain("nobody signed in");
    expect((await signedIn.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("takes eight clients, and strangers can't keep them out", async () => {
    for (let count = 0; count < 40; count += 1) await raw();
    for (let count = 0; count < 8; count += 1) await dial();
    await expect(dial()).rejects.toMatchObject({ code: "53300" });
    await clients[0]?.end();
    await vi.waitFor(() => dial());
  });

  it.each<[string, () => Buffer[]]>([
    ["another protocol", () => [startup(2 << 16)]],
    ["HTTP", () => [Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")]],
    ["a length that is none", () => [startup(), encodeInt32(0), encodeInt32(0)]],
    ["a huge password", () => [startup(), Buffer.concat([Buffer.from("p"), encodeInt32(1 << 30)])]],
    [
      "a huge message",
      () => [
        startup(),
        password(),
        Buffer.concat([Buffer.from("Q"), encodeInt32(17 << 20)]),
        Buffer.alloc(17 << 20, 32),
      ],
    ],
    [
      "a negative length",
      () => [startup(), password(), Buffer.concat([Buffer.from("Q"), encodeInt32(-1)])],
    ],
    ["an unknown message", () => [startup(), password(), encodeMessage("?", "x")]],
    ["a function call", () => [startup(), password(), encodeMessage("F", "x")]],
    [
      "a query before Sync",
      () => [
        startup(),
        password(),
        encodeMessage("D", Buffer.from("S"), ""),
        encodeMessage("Q", "select 1"),
      ],
    ],
    [
      "a statement without a name",
      () => [startup(), password(), encodeMessage("P", Buffer.from("x")), encodeMessage("S")],
    ],
    [
      "too much before a Sync",
      () => [
        startup(),
        password(),
        ...Array.from({ length: 3 }, (_, index) =>
          encodeMessage("P", `s${index}`, "x".repeat(6 << 20), Buffer.alloc(2)),
        ),
      ],
    ],
  ])("closes the connection at %s, and goes on", async (_name, said) => {
    const heard = await (await raw(...said())).closed;
    expect(heard).toMatch(/SFATAL\0VFATAL\0C(?:08P01|0A000|54000)/);
    expect((await app.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("throws at no bytes whatever", async () => {
    const start = Buffer.concat([startup(), password()]);
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 60 }),
        fc.boolean(),
        fc.constantFrom("Q", "P", "B", "D", "E", "C", "S", "H", "d"),
        async (bytes, framed, type) => {
          const body = Buffer.from(bytes);
          const { socket, closed } = await raw(start, framed ? encodeMessage(type, body) : body);
          socket.end();
          await closed;
        },
      ),
      { numRuns: 60 },
    );
    expect((await app.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("takes a message in pieces, and a batch of several in one", async () => {
    const client = await raw();
    for (const byte of Buffer.concat([
      startup(),
      password(),
      encodeMessage("Q", "select 'pieces'"),
    ])) {
      client.socket.write(Buffer.from([byte]));
      await setImmediate();
    }
    await vi.waitFor(() => expect(client.heard()).toContain("pieces"));
    client.socket.write(
      Buffer.concat([encodeMessage("Q", "select 'x'"), encodeMessage("Q", "select 'y'")]),
    );
    await vi.waitFor(() => expect(client.heard()).toMatch(/x[^]*y/));
  });

  it("declines encryption and later protocols, as PostgreSQL does, and ignores a cancel", async () => {
    const cancel = Buffer.concat([encodeInt32(16, 80_877_102, 1, 2)]);
    expect(await (await raw(cancel)).closed).toBe("");
    const later = await raw(encodeInt32(8, 80_877_104), encodeInt32(8, 80_877_103));
    await vi.waitFor(() => expect(later.heard()).toBe("NN"));
    later.socket.write(startup(196_610, "_pq_.x", "1"));
    await vi.waitFor(() => expect(later.heard()).toMatch(/^NNv[^]*_pq_\.x\0R/));
  });

  it("large answers arrive whole", async () => {
    const client = await dial();
    const { rows } = await client.query(
      "select repeat('x', 1000) as x from generate_series(1, 5000)",
    );
    expect(rows).toHaveLength(5000);
  });
});

describe("the folder of PGlite", { timeout: 60_000 }, () => {
  it("tells whether and how it can be reached", async () => {
    const folder = join(scratch, "found");
    const clock = new FakeClock();
    expect(findPglite(folder)).toEqual({ state: "absent" });
    const plain = pglite({ folder });
    await plain.query("select 1");
    expect(findPglite(folder)).toEqual({ state: "locked" });
    await plain.close();
    expect(findPglite(folder)).toEqual({ state: "free" });
    const served = pglite({ folder, socket: { clock, randomBytes } });
    await served.query("select 1");
    const url = await servedAt(folder);
    const address = JSON.parse(await readFile(join(folder, "sluice-socket"), "utf8")) as {
      token: string;
    };
    expect(url).toContain(address.token);
    expect(Buffer.from(address.token, "base64url")).toHaveLength(32);
    const client = new Client({ connectionString: url });
    await client.connect();
    const ended = once(client, "error");
    await served.close();
    await ended;
    expect((await readdir(folder)).filter((name) => name.startsWith("sluice"))).toEqual([]);
    expect(findPglite(folder)).toEqual({ state: "free" });
    expect(clock.pendingTimers).toBe(0);
  });

  it("goes on without a socket where its port is taken, and says so once", async () => {
    const taken = createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    const problems: unknown[] = [];
    const { port } = taken.address() as AddressInfo;
    const told = Promise.withResolvers<undefined>();
    const folder = join(scratch, "taken");
    const database = pglite({
      folder,
      socket: {
        clock: new FakeClock(),
        randomBytes,
        port,
        onProblem(problem) {
          problems.push(problem);
          told.resolve(undefined);
          throw new Error("its own trouble");
        },
      },
    });
    expect((await database.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await told.promise;
    expect(problems).toEqual([{ code: "EADDRINUSE" }]);
    expect(findPglite(folder)).toEqual({ state: "locked" });
    await database.close();
    taken.close();
  });

  it("is needed for a socket, whose options are checked", () => {
    const socket = { clock: new FakeClock(), randomBytes };
    expect(() => pglite({ socket })).toThrow("pglite.folder: got nothing");
    expect(() => pglite({ folder: "x", socket: { ...socket, port: 70_000 } })).toThrow(
      "pglite.socket.port",
    );
    expect(() => pglite({ folder: "x", socket: { ...socket, clock: {} as FakeClock } })).toThrow(
      "pglite.socket.clock",
    );
  });
});
