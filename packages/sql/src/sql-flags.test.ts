import { randomBytes } from "node:crypto";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { FlagSource } from "@sluice/contract";
import { flagAgeMs, type Variables } from "@sluice/policy";
import {
  describeFlagSource,
  describeOnDatabases,
  FakeClock,
  postgresAnswers,
  postgresForTests,
  realClock,
} from "@sluice/testkit";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { SqlDatabase, SqlListenHandlers, SqlQuery } from "./database.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { sqlFlags, type SqlFlagsOptions } from "./sql-flags.ts";
import type { WatchState } from "./watch-tables.ts";

interface Row {
  readonly feature_name: string;
  readonly enabled: unknown;
  readonly rollout_percent: unknown;
  readonly [column: string]: unknown;
}

const suiteNames = { chat_ai: "CHAT_AI", slotgen_ai: "SLOTGEN_AI" } as const;

/** What the variables of the suite say, as rows; a feature without any has none. */
function rowsOf(variables: Variables): Row[] {
  return Object.entries(suiteNames)
    .filter(([, name]) => variables[`FEATURE_${name}`] !== undefined)
    .map(([feature, name]) => ({
      feature_name: feature,
      enabled: variables[`FEATURE_${name}`] === "true",
      rollout_percent: Number(variables[`${name}_ROLLOUT_PERCENT`] ?? 100),
      killed: variables[`${name}_KILL`] === "true",
      allowlist: variables[`${name}_ALLOWLIST`]?.split(",") ?? null,
    }));
}

/** A table in memory that can be told of, and may vanish. */
function fakeTable(rows: Row[] = []) {
  const table = { rows, standby: false, error: undefined as Error | undefined, texts: "" };
  const heard = new Set<SqlListenHandlers>();
  const query: SqlQuery = async (text) => {
    if (table.error !== undefined) throw table.error;
    table.texts += text;
    const flagRows: unknown = structuredClone(table.rows);
    const row = text.includes("table_rows")
      ? { standby: table.standby, table_rows: flagRows }
      : { pid: 1, heard: true };
    return { rows: [row as never], affected: 0 };
  };
  const db: SqlDatabase = {
    kind: "postgres",
    query,
    exec: () => Promise.reject(new Error("not used")),
    transaction: () => Promise.reject(new Error("not used")),
    async listen(_channel, handlers) {
      heard.add(handlers);
      return { query, close: () => void heard.delete(handlers) };
    },
    close: () => Promise.resolve(),
  };
  const set = (next: Row[]): void => {
    table.rows = next;
    for (const { onNotify } of heard) onNotify("{}");
  };
  return { db, table, set };
}

const open = { feature_name: "chat_ai", enabled: true, rollout_percent: 50 };

async function flagsOver(rows: Row[], options: Partial<SqlFlagsOptions> = {}) {
  const clock = new FakeClock();
  const fake = fakeTable(rows);
  const states: WatchState[] = [];
  const flags = sqlFlags(fake.db, {
    clock,
    random: () => 0.5,
    onState: (state) => states.push(state),
    ...options,
  });
  const settle = () => clock.advanceAsync(0);
  await settle();
  return {
    ...fake,
    clock,
    flags,
    states,
    settle,
    read: () => flags.read("chat_ai"),
    change: async (next: Row[]): Promise<void> => {
      fake.set(next);
      await settle();
    },
  };
}

describeFlagSource(
  "sqlFlags",
  async (variables) => {
    const { flags, set, settle } = await flagsOver(rowsOf(variables));
    return { source: flags, set: (next) => set(rowsOf(next)), settle };
  },
  { tells: true, text: false },
);

const versioned = (version: number, second: number, more: Partial<Row> = {}): Row => ({
  ...open,
  version,
  updated_at: `2026-01-01T00:00:0${second}+00:00`,
  ...more,
});

const away = (table: { error: Error | undefined }): void => {
  table.error = new Error("away");
};

const readiness = async (prepare: (table: { error: Error | undefined }) => void) => {
  const clock = new FakeClock();
  const { db, table } = fakeTable([open]);
  prepare(table);
  const flags = sqlFlags(db, { clock, random: () => 0.5 });
  let isReady = false;
  void flags.ready().then(() => (isReady = true));
  return { clock, flags, isReady: () => isReady };
};

describe("sqlFlags", () => {
  it("disables everything before its first read, and is stale by any limit", async () => {
    const clock = new FakeClock();
    const { db, table } = fakeTable([open]);
    table.error = new Error("away");
    const flags = sqlFlags(db, { clock, random: () => 0.5 });
    await clock.advanceAsync(3000);
    expect(flags.read("chat_ai").enabled).toBe(false);
    const confirmed = flags.confirmedAt();
    if (confirmed === undefined) throw new Error("it would never be stale");
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    expect(flagAgeMs(confirmed, now)).toBe(Number.POSITIVE_INFINITY);
    flags.close();
  });

  it("reads any table of three columns, by the names given", async () => {
    const { read, table, flags } = await flagsOver([open], {
      names: { prefix: "p3_", flagTable: "switchboard" },
    });
    expect(read()).toMatchObject({ enabled: true, percent: 50, version: undefined });
    expect(table.texts).toContain('FROM "public"."switchboard" AS t');
    flags.close();
  });

  it("keeps the flags of a row while other rows and columns change", async () => {
    const { read, change, flags } = await flagsOver([open]);
    const before = read();
    let told = 0;
    flags.onChange(() => (told += 1));
    await change([{ ...open, note: "new" }]);
    expect(read()).toBe(before);
    expect(told).toBe(0);
    await change([open, { ...open, feature_name: "slotgen_ai" }]);
    expect(read()).toBe(before);
    expect(told).toBe(1);
    await change([open]);
    expect(told).toBe(2);
    flags.close();
  });

  it("names the column that is malformed, and closes the feature", async () => {
    const { read, flags } = await flagsOver([{ ...open, rollout_percent: 101 }]);
    expect(read()).toMatchObject({
      percent: 0,
      problems: [{ variable: "public.feature_state.rollout_percent" }],
    });
    flags.close();
  });

  it("grows stale on a standby, which may lag behind, and says so once", async () => {
    const { clock, table, flags, states } = await flagsOver([open], { listen: false });
    const confirmed = flags.confirmedAt();
    table.standby = true;
    await clock.advanceAsync(10_000);
    expect(flags.confirmedAt()).toEqual(confirmed);
    expect(flags.trouble()).toBe("STANDBY");
    expect(states).toEqual([
      { state: "polling", code: undefined },
      { state: "unreachable", code: "STANDBY" },
    ]);
    table.standby = false;
    await clock.advanceAsync(1000);
    expect(flags.trouble()).toBeUndefined();
    flags.close();
  });

  describe("with versions", () => {
    it("lets a lower version that was not written later narrow, and never widen", async () => {
      const { read, change, flags } = await flagsOver([versioned(5, 5, { killed: true })]);
      await change([versioned(4, 4, { rollout_percent: 100 })]);
      expect(read()).toMatchObject({ killed: true, percent: 50, version: 5 });
      await change([versioned(6, 6)]);
      expect(read()).toMatchObject({ killed: false, version: 6 });
      expect(read().settling).toBeUndefined();
      const before = read();
      await change([versioned(5, 5, { enabled: false })]);
      expect(read()).toMatchObject({ enabled: false, version: 6, settling: true });
      await change([versioned(6, 6)]);
      expect(read()).toEqual(before);
      flags.close();
    });

    it("hands out the same flags for as long as a lower version stays", async () => {
      const { read, change, flags } = await flagsOver([versioned(5, 5)]);
      await change([versioned(4, 4, { killed: true })]);
      const before = read();
      await change([versioned(4, 4, { killed: true })]);
      expect(read()).toBe(before);
      flags.close();
    });

    it("takes a row that was deleted and created again for new", async () => {
      const { read, change, flags } = await flagsOver([versioned(5, 5, { killed: true })]);
      await change([versioned(1, 6)]);
      expect(read()).toMatchObject({ killed: false, version: 1 });
      await change([]);
      expect(read().enabled).toBe(false);
      await change([versioned(1, 2)]);
      expect(read()).toMatchObject({ enabled: true, version: 1 });
      flags.close();
    });
  });

  describe("with an environment", () => {
    it("is killed by it at once, also where the table is not known", async () => {
      const variables: Record<string, string> = {};
      const { read, flags } = await flagsOver([open], { variables });
      const before = read();
      expect(before.killed).toBe(false);
      variables["CHAT_AI_KILL"] = "no";
      variables["OTHER_KILL"] = "true";
      expect(read()).toMatchObject({ killed: true, problems: [{ variable: "CHAT_AI_KILL" }] });
      expect(flags.read("other")).toMatchObject({ enabled: false, killed: true });
      expect(read()).toBe(read());
      delete variables["CHAT_AI_KILL"];
      expect(read()).toBe(before);
      flags.close();
    });

    it("is narrowed by its percentage and list, and never widened by anything of it", async () => {
      const variables: Record<string, string> = {
        CHAT_AI_ROLLOUT_PERCENT: "20",
        CHAT_AI_ALLOWLIST: "ann,eve",
        FEATURE_CHAT_AI: "false",
        FEATURE_SLOTGEN_AI: "true",
        SLOTGEN_AI_ROLLOUT_PERCENT: "100",
      };
      const { read, change, flags } = await flagsOver(
        [
          { ...open, allowlist: ["ann", "ben"], salt: "s", version: 3 },
          { feature_name: "slotgen_ai", enabled: false, rollout_percent: 5 },
        ],
        { variables },
      );
      expect(read()).toEqual({
        enabled: true,
        killed: false,
        percent: 20,
        allowlist: ["ann"],
        salt: "s",
        version: 3,
        problems: [],
      });
      expect(flags.read("slotgen_ai")).toMatchObject({ enabled: false, percent: 5 });
      await change([{ ...open, rollout_percent: 10 }]);
      // A list of its own may ask for more, but lets nobody skip the percentage.
      expect(read()).toMatchObject({ percent: 10, allowlist: ["ann", "eve"], settling: true });
      flags.close();
    });

    it.each([
      [{ clock: undefined }, "sqlFlags.clock: got nothing, expected a value of type object"],
      [{ clock: {} }, "sqlFlags.clock.wallMs: got nothing, expected a function"],
      [{ names: { prefix: "P3" } }, 'names.prefix: got "P3", expected lower-case letters'],
      [{ names: { tables: "x" } }, "names.tables: got an unknown option, expected only"],
      [{ pollMs: 0 }, "sqlFlags.pollMs: got 0, expected at least 10"],
      [{ heartbeatMs: 3e9 }, "sqlFlags.heartbeatMs: got 3000000000, expected at most 2147000000"],
      [{ exclusive: "false" }, 'sqlFlags.exclusive: got "false", expected a value of type boolean'],
      [{ poll_ms: 5 }, "sqlFlags.poll_ms: got an unknown option, expected only documented options"],
    ])("refuses %j in one line", (given, line) => {
      const { db } = fakeTable();
      const options = { clock: new FakeClock(), random: () => 0.5, ...(given as object) };
      expect(() => sqlFlags(db, options)).toThrow(line);
    });

    it("reads the gateway's switches of it", async () => {
      const { flags } = await flagsOver([], { variables: { FF_CHAT_GATEWAY_SHADOW: "no" } });
      expect(flags.readSwitches()).toMatchObject({
        switches: { FF_CHAT_GATEWAY_SHADOW: true },
        problems: [{ variable: "FF_CHAT_GATEWAY_SHADOW" }],
      });
      flags.close();
    });

    it("touches no variable where the table is exclusive", async () => {
      const variables = new Proxy<Variables>(
        {},
        {
          get() {
            throw new Error("a variable was read");
          },
          has() {
            throw new Error("a variable was looked for");
          },
        },
      );
      const { read, flags } = await flagsOver([open], { variables, exclusive: true });
      expect(read()).toMatchObject({ enabled: true, percent: 50 });
      expect(flags.read("unknown").enabled).toBe(false);
      expect(flags.readSwitches().switches.FF_CHAT_GATEWAY_ENABLED).toBe(false);
      flags.close();
    });
  });

  describe("ready", () => {
    it("resolves once flags were read", async () => {
      const { clock, flags, isReady } = await readiness(() => undefined);
      await clock.advanceAsync(0);
      expect(isReady()).toBe(true);
      await flags.ready();
      expect(flags.read("chat_ai").enabled).toBe(true);
      flags.close();
      expect(clock.pendingTimers).toBe(0);
    });

    it("resolves after ten seconds without, and when closed", async () => {
      const first = await readiness(away);
      await first.clock.advanceAsync(9999);
      expect(first.isReady()).toBe(false);
      await first.clock.advanceAsync(1);
      expect(first.isReady()).toBe(true);
      first.flags.close();
      const second = await readiness(away);
      second.flags.close();
      await second.clock.advanceAsync(0);
      expect(second.isReady()).toBe(true);
    });
  });
});

const waiting = { timeout: 5000, interval: 2 };

/** Until a read that was sent from now on is applied. */
async function refreshed(source: FlagSource, timeout = 5000): Promise<void> {
  const askedMs = realClock.monotonicMs();
  const isConfirmed = (): void => {
    if ((source.confirmedAt()?.monotonicMs ?? 0) <= askedMs) throw new Error("not confirmed");
  };
  await vi.waitFor(isConfirmed, { timeout, interval: 2 });
}

/** Passes bytes on to the server, until it swallows all of the connections that there are. */
async function startProxy(connectionString: string) {
  const target = new URL(connectionString);
  const folder = target.searchParams.get("host");
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const port = Number(target.port);
    const upstream = connect(
      folder === null ? { host: target.hostname, port } : { path: `${folder}/.s.PGSQL.${port}` },
    );
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, "127.0.0.1", resolve);
  });
  const through = new URL(connectionString);
  through.searchParams.delete("host");
  through.hostname = "127.0.0.1";
  through.port = String((proxy.address() as AddressInfo).port);
  return {
    connectionString: through.href,
    swallow() {
      for (const socket of sockets) socket.unpipe().removeAllListeners("end").resume();
    },
    close() {
      proxy.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe.skipIf(process.env["CI"] !== "true" && !postgresAnswers())("on PostgreSQL", () => {
  let server: ReturnType<typeof postgresForTests>;
  let operator: Client;
  let tables = 0;
  const opened: { close(): unknown }[] = [];

  beforeAll(async () => {
    server = postgresForTests();
    operator = new Client({ connectionString: server.connectionString });
    operator.on("error", () => undefined);
    await operator.connect();
  });
  afterEach(async () => {
    for (const one of opened.splice(0).toReversed()) await one.close();
  });
  afterAll(async () => {
    await operator.end();
    server.drop();
  });

  /** A table of three columns, and flags over it. */
  const openTable = async (
    options: Partial<SqlFlagsOptions> = {},
    connectionString = server.connectionString,
  ) => {
    const flagTable = `flags_${(tables += 1)}`;
    const table = `"${flagTable}"`;
    await operator.query(
      `CREATE TABLE ${table} (feature_name text, enabled boolean, rollout_percent integer)`,
    );
    const db = postgres({ connectionString });
    const states: WatchState[] = [];
    const flags = sqlFlags(db, {
      clock: realClock,
      random: () => 0.5,
      names: { flagTable },
      onState: (state) => states.push(state),
      ...options,
    });
    opened.push(db, flags);
    await flags.ready();
    const write = (sql: string) => operator.query(sql);
    return { table, db, flags, states, write };
  };

  describeFlagSource(
    "sqlFlags on PostgreSQL",
    async (variables) => {
      const { table, flags, write } = await openTable({ pollMs: 10 });
      await write(`ALTER TABLE ${table} ADD killed boolean DEFAULT false, ADD allowlist text[]`);
      const set = async (next: Variables): Promise<void> => {
        await write("BEGIN");
        await write(`DELETE FROM ${table}`);
        for (const row of rowsOf(next)) {
          await operator.query(`INSERT INTO ${table} VALUES ($1, $2, $3, $4, $5)`, [
            row.feature_name,
            row.enabled,
            row.rollout_percent,
            row["killed"],
            row["allowlist"],
          ]);
        }
        await write("COMMIT");
      };
      await set(variables);
      await refreshed(flags);
      let closed = false;
      const source: FlagSource = {
        ...flags,
        close() {
          closed = true;
          flags.close();
        },
      };
      return { source, set, settle: () => (closed ? undefined : refreshed(source)) };
    },
    { tells: true, text: false },
  );

  it("hears of a change of another connection, long before a poll", async () => {
    const { table, flags, states, write } = await openTable({ pollMs: 600_000 });
    expect(states).toEqual([{ state: "listening", code: undefined }]);
    await write(`INSERT INTO ${table} VALUES ('chat_ai', true, 100)`);
    await write("NOTIFY sluice_changed");
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(true), waiting);
    await write(`UPDATE ${table} SET enabled = false, rollout_percent = 0`);
    await write("NOTIFY sluice_changed");
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(false), waiting);
  });

  it("connects again when its listening backend is terminated, and reads what it missed", async () => {
    const { table, flags, states, write } = await openTable({ pollMs: 600_000 });
    const { rows } = await operator.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'sluice'`,
    );
    await write(`INSERT INTO ${table} VALUES ('chat_ai', true, 100)`);
    expect(rows).not.toEqual([]);
    for (const { pid } of rows) await operator.query("SELECT pg_terminate_backend($1)", [pid]);
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(true), waiting);
    await vi.waitFor(
      () => expect(states.map(({ state }) => state)).toEqual(["listening", "polling", "listening"]),
      waiting,
    );
    await write(`UPDATE ${table} SET enabled = false`);
    await write("NOTIFY sluice_changed");
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(false), waiting);
  });

  it("sees a change by polling where it does not listen", async () => {
    const { table, flags, states, write } = await openTable({ listen: false, pollMs: 20 });
    await write(`INSERT INTO ${table} VALUES ('chat_ai', true, 100)`);
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(true), waiting);
    expect(states).toEqual([{ state: "polling", code: undefined }]);
  });

  it("is confirmed no more once the table is gone, goes on reading, and tells why", async () => {
    const { table, flags, states, write } = await openTable({ pollMs: 20 });
    await write(`INSERT INTO ${table} VALUES ('chat_ai', true, 100)`);
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(true), waiting);
    await write(`DROP TABLE ${table}`);
    await vi.waitFor(
      () => expect(states.at(-1)).toEqual({ state: "unreachable", code: "42P01" }),
      waiting,
    );
    expect(flags.trouble()).toBe("42P01");
    const confirmed = flags.confirmedAt();
    expect(flags.read("chat_ai").enabled).toBe(true);
    await expect(refreshed(flags, 200)).rejects.toThrow("not confirmed");
    expect(flags.confirmedAt()).toEqual(confirmed);
  });

  it("tells what keeps it from the table, until nothing does", async () => {
    const role = `sluice_flags_${randomBytes(6).toString("hex")}`;
    await operator.query(`CREATE ROLE ${role} LOGIN CONNECTION LIMIT 0`);
    opened.push({
      close: async () => {
        await operator.query(`DROP OWNED BY ${role}`);
        await operator.query(`DROP ROLE ${role}`);
      },
    });
    const { table, write } = await openTable();
    const url = new URL(server.connectionString);
    url.username = role;
    const db = postgres({ connectionString: url.href });
    const flags = sqlFlags(db, {
      clock: realClock,
      random: () => 0.5,
      names: { flagTable: table.replaceAll('"', "") },
      pollMs: 20,
    });
    opened.push(db, flags);
    const troubled = (code: string | undefined) =>
      vi.waitFor(() => expect(flags.trouble()).toBe(code), waiting);
    await troubled("53300");
    await write(`ALTER ROLE ${role} CONNECTION LIMIT -1`);
    await troubled("42501");
    await write(`GRANT SELECT ON ${table} TO ${role}`);
    await troubled(undefined);
    await refreshed(flags);
  });

  it("tells that nobody answers at its address", async () => {
    const proxy = await startProxy(server.connectionString);
    proxy.close();
    const db = postgres({ connectionString: proxy.connectionString });
    const flags = sqlFlags(db, { clock: realClock, random: () => 0.5, pollMs: 20 });
    opened.push(db, flags);
    await vi.waitFor(() => expect(flags.trouble()).toBe("ECONNREFUSED"), waiting);
  });

  it("sees a change before its flags are stale although every connection it had is a black hole", async () => {
    const proxy = await startProxy(server.connectionString);
    opened.push(proxy);
    const { table, flags, states, write } = await openTable({}, proxy.connectionString);
    await write(`INSERT INTO ${table} VALUES ('chat_ai', true, 100)`);
    await write("NOTIFY sluice_changed");
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(true), waiting);
    proxy.swallow();
    await write(`UPDATE ${table} SET enabled = false`);
    await write("NOTIFY sluice_changed");
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(false), {
      ...waiting,
      timeout: 4500,
    });
    await vi.waitFor(() => expect(states.at(-1)?.state).toBe("listening"), waiting);
  });

  it("comes back by itself after a database that was away for a while", async () => {
    const { table, flags, states, write } = await openTable({ pollMs: 20 });
    const admin = new Client({
      connectionString: new URL("/postgres", server.connectionString).href,
    });
    await admin.connect();
    opened.push({ close: () => admin.end() });
    const name = new URL(server.connectionString).pathname.slice(1);
    await write(`INSERT INTO ${table} VALUES ('chat_ai', true, 100)`);
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(true), waiting);
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    try {
      await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = $1 AND application_name = 'sluice'`,
        [name],
      );
      await vi.waitFor(() => expect(states.at(-1)?.state).toBe("unreachable"), waiting);
      await write(`UPDATE ${table} SET enabled = false`);
    } finally {
      await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    }
    await vi.waitFor(() => expect(flags.read("chat_ai").enabled).toBe(false), waiting);
    await vi.waitFor(() => expect(states.at(-1)?.state).toBe("listening"), waiting);
  });
});

describeOnDatabases(
  "sqlFlags over a table of ours",
  { postgres: (connectionString) => postgres({ connectionString }), pglite: () => pglite() },
  (openDatabase) => {
    let db: SqlDatabase;
    beforeAll(async () => {
      db = await openDatabase();
    }, 60_000);

    it.each([{}, { prefix: "p3_" }])(
      "is shut by one bare statement, long before a poll, with the names %j",
      async (names) => {
        await migrate(db, { names });
        const table = `"${names.prefix ?? ""}feature_state"`;
        await db.query(
          `INSERT INTO ${table} (feature_name, enabled, rollout_percent, allowlist)
            VALUES ('p3_advisory', true, 100, ARRAY['ann'])`,
        );
        const states: WatchState[] = [];
        const flags = sqlFlags(db, {
          clock: realClock,
          random: () => 0.5,
          names,
          pollMs: 600_000,
          onState: (state) => states.push(state),
        });
        try {
          await flags.ready();
          const before = flags.read("p3_advisory");
          expect(before).toMatchObject({
            enabled: true,
            killed: false,
            percent: 100,
            allowlist: ["ann"],
            salt: "p3_advisory",
            problems: [],
          });
          await db.query(
            `UPDATE ${table} SET enabled = false, rollout_percent = 0 WHERE feature_name = 'p3_advisory'`,
          );
          await vi.waitFor(() => expect(flags.read("p3_advisory").enabled).toBe(false), waiting);
          expect(flags.read("p3_advisory").version).toBe((before.version ?? Number.NaN) + 1);
          expect(states).toEqual([{ state: "listening", code: undefined }]);
        } finally {
          flags.close();
        }
      },
      60_000,
    );

    /** Flags that poll, and how much came of the database. */
    const follow = async (flagTable: string) => {
      const seen = { bytes: 0 };
      const query: SqlQuery = async (text, parameters) => {
        const result = await db.query<never>(text, parameters);
        seen.bytes += JSON.stringify(result.rows).length;
        return result;
      };
      const flags = sqlFlags(
        { ...db, query },
        {
          clock: realClock,
          random: () => 0.5,
          names: { flagTable },
          listen: false,
          pollMs: 20,
        },
      );
      onTestFinished(() => flags.close());
      await flags.ready();
      return { flags, seen };
    };

    describe("that is the product's own", () => {
      beforeAll(() =>
        db.exec(
          `CREATE TABLE product_flags (
            feature_name text, enabled boolean, rollout_percent integer, notes text
          );
          INSERT INTO product_flags VALUES ('chat_ai', true, 50, repeat('x', 1000000));
          CREATE VIEW computed_flags AS SELECT feature_name, enabled, rollout_percent,
            1 / (rollout_percent - rollout_percent) AS failing FROM product_flags;`,
        ),
      );

      it("is read without its other columns, of which one has a megabyte", async () => {
        const { flags, seen } = await follow("product_flags");
        expect(flags.read("chat_ai")).toEqual({
          enabled: true,
          killed: false,
          percent: 50,
          allowlist: undefined,
          salt: "chat_ai",
          version: undefined,
          problems: [],
        });
        flags.close();
        expect(seen.bytes).toBeGreaterThan(50);
        expect(seen.bytes).toBeLessThan(10_000);
      });

      it("is read where a column that is not ours can't be", async () => {
        const { flags } = await follow("computed_flags");
        expect(flags.trouble()).toBeUndefined();
        expect(flags.read("chat_ai").enabled).toBe(true);
      });

      it("is killed by a column that it gets while it is watched, by a null too", async () => {
        const { flags } = await follow("product_flags");
        const killed = (is: boolean) =>
          vi.waitFor(() => expect(flags.read("chat_ai").killed).toBe(is), waiting);
        await db.exec("ALTER TABLE product_flags ADD COLUMN killed boolean DEFAULT true");
        await killed(true);
        await db.exec("UPDATE product_flags SET killed = false");
        await killed(false);
        await db.exec("UPDATE product_flags SET killed = NULL");
        await killed(true);
        expect(flags.read("chat_ai").problems).toMatchObject([
          { variable: "public.product_flags.killed" },
        ]);
        await db.exec("ALTER TABLE product_flags DROP COLUMN killed");
        await killed(false);
      });

      it("closes everything where it has no column of ours", async () => {
        await db.exec(
          "CREATE TABLE no_flags (notes text); INSERT INTO no_flags VALUES ('chat_ai');",
        );
        const { flags } = await follow("no_flags");
        expect(flags.trouble()).toBeUndefined();
        expect(flags.versions().size).toBe(0);
        expect(flags.read("chat_ai").enabled).toBe(false);
      });
    });
  },
);
