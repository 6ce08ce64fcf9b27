import { describeOnDatabases, FakeClock, seededRandom } from "@sluice/testkit";
import * as fc from "fast-check";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { SqlDatabase, SqlListenHandlers, SqlQuery } from "./database.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { watchTables, type TableWatch, type WatchState } from "./watch-tables.ts";

type Way = "answers" | "is silent" | Error;

/** A database with one value, and two ways to it that work, fail or say nothing. */
function fakeDatabase() {
  const db = {
    value: 1,
    pool: "answers" as Way,
    listener: "answers" as Way,
    listening: "answers" as Way,
    /** As a pooler in transaction mode: which backend answers changes. */
    pid: () => 1,
    /** Answers that were held back, oldest first. */
    held: [] as (() => void)[],
    reads: [] as ("pool" | "listener")[],
    open: [] as SqlListenHandlers[],
    listens: 0,
    closes: 0,
    notify: () => {
      for (const handlers of db.open) handlers.onNotify("{}");
    },
    change(value: number) {
      db.value = value;
      db.notify();
    },
    endListeners(error?: Error) {
      for (const handlers of db.open.splice(0)) handlers.onEnd(error);
    },
  };
  const answer = async (way: Way, rows: readonly unknown[]) => {
    if (way instanceof Error) throw way;
    if (way === "is silent") {
      await new Promise<void>((resolve) => {
        db.held.push(resolve);
      });
    }
    return { rows, affected: 0 };
  };
  const queryOver =
    (over: "pool" | "listener"): SqlQuery =>
    async (text) => {
      const isRead = text === "read";
      if (isRead) db.reads.push(over);
      const row = isRead ? { value: db.value } : { pid: db.pid(), heard: true };
      return (await answer(db[over], [row])) as never;
    };
  const port: SqlDatabase = {
    kind: "postgres",
    query: queryOver("pool"),
    exec: () => Promise.reject(new Error("not used")),
    transaction: () => Promise.reject(new Error("not used")),
    async listen(_channel, handlers) {
      db.listens += 1;
      await answer(db.listening, []);
      db.open.push(handlers);
      return {
        query: queryOver("listener"),
        close() {
          db.closes += 1;
          db.open = db.open.filter((one) => one !== handlers);
        },
      };
    },
    close: () => Promise.resolve(),
  };
  return { db, port };
}

interface Bench {
  readonly clock: FakeClock;
  readonly db: ReturnType<typeof fakeDatabase>["db"];
  readonly watch: TableWatch;
  readonly applied: number[];
  readonly states: WatchState[];
}

function watching(
  options: {
    readonly listen?: boolean;
    readonly pollMs?: number;
    readonly random?: () => number;
    readonly prepare?: (db: Bench["db"]) => void;
  } = {},
): Bench {
  const clock = new FakeClock({ monotonicMs: 5000 });
  const { db, port } = fakeDatabase();
  options.prepare?.(db);
  const applied: number[] = [];
  const states: WatchState[] = [];
  const watch = watchTables(port, {
    clock,
    random: options.random ?? (() => 0.5),
    channel: "sluice_changed",
    listen: options.listen ?? true,
    pollMs: options.pollMs ?? 1000,
    async read(query) {
      const { rows } = await query<{ value: number }>("read");
      applied.push(rows[0]?.value ?? Number.NaN);
    },
    onState: (state) => states.push(state),
  });
  return { clock, db, watch, applied, states };
}

/** How many polls are sent in two minutes. */
async function polls(random: number): Promise<number> {
  const { clock, db, watch } = watching({ listen: false, random: () => random });
  await clock.advanceAsync(120_000);
  watch.close();
  return db.reads.length - 1;
}

const refused = Object.assign(new Error("secret of a row"), { code: "ECONNREFUSED" });

describe("watchTables", () => {
  it("listens before it reads, and says so", async () => {
    const { clock, db, applied, states, watch } = watching();
    expect(db.listens).toBe(1);
    expect(db.reads).toEqual([]);
    await clock.advanceAsync(0);
    expect(db.reads).toEqual(["listener"]);
    expect(applied).toEqual([1]);
    expect(states).toEqual([{ state: "listening", code: undefined }]);
    watch.close();
  });

  it("was never confirmed before its first read, whatever the clocks say", async () => {
    const { clock, watch } = watching({
      prepare: (db) => Object.assign(db, { pool: refused, listening: refused }),
    });
    await clock.advanceAsync(3000);
    expect(watch.confirmedAt()).toEqual({
      monotonicMs: Number.NEGATIVE_INFINITY,
      wallMs: Number.NEGATIVE_INFINITY,
    });
    watch.close();
  });

  it("reads at once over the pool where listening is refused at first", async () => {
    const { clock, applied, states, watch } = watching({
      prepare: (db) => Object.assign(db, { listening: refused }),
    });
    await clock.advanceAsync(0);
    expect(applied).toEqual([1]);
    expect(states).toEqual([{ state: "polling", code: "ECONNREFUSED" }]);
    watch.close();
  });

  it("reads on a notification, without time passing", async () => {
    const { clock, db, applied, watch } = watching();
    await clock.advanceAsync(0);
    db.change(2);
    await clock.advanceAsync(0);
    expect(applied).toEqual([1, 2]);
    watch.close();
  });

  it("reads at most once more for all the notifications that come while it reads", async () => {
    const { clock, db, applied, watch } = watching();
    await clock.advanceAsync(0);
    db.listener = "is silent";
    db.change(2);
    for (const value of [3, 4, 5]) db.change(value);
    expect(db.reads).toHaveLength(2);
    db.listener = "answers";
    for (const release of db.held.splice(0)) release();
    await clock.advanceAsync(0);
    expect(applied).toEqual([1, 2, 5]);
    expect(db.reads).toHaveLength(3);
    watch.close();
  });

  it("does not wait for a silent pool when a change is announced, and never applies the older answer", async () => {
    const { clock, db, applied, watch } = watching();
    await clock.advanceAsync(0);
    db.pool = "is silent";
    await clock.advanceAsync(1000);
    expect(db.reads.at(-1)).toBe("pool");
    db.change(2);
    await clock.advanceAsync(0);
    expect(applied.at(-1)).toBe(2);
    for (const release of db.held.splice(0)) release();
    await clock.advanceAsync(0);
    expect(applied.at(-1)).toBe(2);
    watch.close();
  });

  it("sees a change by its next poll where nothing is heard", async () => {
    const { clock, db, applied, states, watch } = watching({ listen: false });
    await clock.advanceAsync(0);
    expect(db.listens).toBe(0);
    db.value = 2;
    await clock.advanceAsync(1200);
    expect(applied.at(-1)).toBe(2);
    expect(new Set(db.reads)).toEqual(new Set(["pool"]));
    expect(states).toEqual([{ state: "polling", code: undefined }]);
    watch.close();
  });

  it("spreads its polls by a fifth either way", async () => {
    expect(await polls(0)).toBe(150);
    expect(await polls(0.999_999)).toBe(100);
  });

  it("gives a poll up after a second, and ignores its answer once it comes", async () => {
    const { clock, db, applied, states, watch } = watching({ listen: false });
    await clock.advanceAsync(0);
    db.pool = "is silent";
    await clock.advanceAsync(1000);
    db.value = 2;
    const confirmed = watch.confirmedAt();
    await clock.advanceAsync(1000);
    expect(states.at(-1)).toEqual({ state: "unreachable", code: "TIMEOUT" });
    for (const release of db.held.splice(0)) release();
    await clock.advanceAsync(0);
    expect(applied).toEqual([1]);
    expect(watch.confirmedAt()).toEqual(confirmed);
    db.pool = "answers";
    await clock.advanceAsync(2000);
    expect(applied.at(-1)).toBe(2);
    expect(states.at(-1)).toEqual({ state: "polling", code: undefined });
    watch.close();
  });

  it("does not pile polls up on a pool that stays silent", async () => {
    const { clock, db, watch } = watching({ listen: false });
    await clock.advanceAsync(0);
    db.pool = "is silent";
    await clock.advanceAsync(120_000);
    expect(db.held.length).toBeLessThan(20);
    db.pool = "answers";
    await clock.advanceAsync(12_000);
    expect(clock.monotonicMs() - watch.confirmedAt().monotonicMs).toBeLessThan(12_000);
    watch.close();
  });

  it("is confirmed as of when the read was sent, by both clocks", async () => {
    const { clock, db, watch } = watching({ listen: false });
    await clock.advanceAsync(0);
    db.pool = "is silent";
    const refreshed = watch.refresh();
    const sent = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    await clock.advanceAsync(300);
    clock.sleepMachine(60_000);
    for (const release of db.held.splice(0)) release();
    await refreshed;
    expect(watch.confirmedAt()).toEqual(sent);
    watch.close();
  });

  it("reads over the listening connection where the pool fails or is silent", async () => {
    for (const pool of [refused, "is silent" as const]) {
      const { clock, db, states, watch } = watching();
      await clock.advanceAsync(0);
      db.pool = pool;
      await clock.advanceAsync(60_000);
      expect(clock.monotonicMs() - watch.confirmedAt().monotonicMs).toBeLessThan(3000);
      expect(watch.trouble()).toBeUndefined();
      expect(states).toEqual([{ state: "listening", code: undefined }]);
      watch.close();
    }
  });

  it("drops a listening connection that is silent within two seconds, and goes on by another", async () => {
    const { clock, db, applied, states, watch } = watching();
    await clock.advanceAsync(0);
    db.listener = "is silent";
    await clock.advanceAsync(2000);
    expect(db.closes).toBe(1);
    expect(states.at(-1)).toEqual({ state: "polling", code: "TIMEOUT" });
    db.listener = "answers";
    db.value = 2;
    await clock.advanceAsync(200);
    expect(db.listens).toBe(2);
    expect(applied.at(-1)).toBe(2);
    expect(states.at(-1)).toEqual({ state: "listening", code: undefined });
    watch.close();
  });

  it("reads over the pool where the listening connection announces a change and then is silent", async () => {
    const { clock, db, applied, watch } = watching({ pollMs: 600_000 });
    await clock.advanceAsync(100);
    db.listener = "is silent";
    db.change(2);
    await clock.advanceAsync(999);
    expect(applied).toEqual([1]);
    await clock.advanceAsync(1);
    expect(applied).toEqual([1, 2]);
    expect(db.closes).toBe(1);
    watch.close();
  });

  it("reads over the pool at once where the connection ends while it reads", async () => {
    const { clock, db, applied, watch } = watching({ pollMs: 600_000 });
    await clock.advanceAsync(0);
    db.listener = "is silent";
    db.change(2);
    db.endListeners(refused);
    await clock.advanceAsync(0);
    expect(applied).toEqual([1, 2]);
    watch.close();
  });

  it("reconnects fast again after a connection that lived", async () => {
    const { clock, db, states, watch } = watching();
    await clock.advanceAsync(0);
    db.listening = refused;
    db.endListeners(refused);
    await clock.advanceAsync(20_000);
    db.listening = "answers";
    await clock.advanceAsync(10_000);
    expect(states.at(-1)?.state).toBe("listening");
    db.endListeners(refused);
    await clock.advanceAsync(150);
    expect(states.at(-1)?.state).toBe("listening");
    watch.close();
  });

  it("reconnects after a connection ended, and reads what it missed", async () => {
    const { clock, db, applied, states, watch } = watching();
    await clock.advanceAsync(0);
    db.endListeners(Object.assign(new Error("terminated"), { code: "57P01" }));
    db.change(2);
    await clock.advanceAsync(150);
    expect(applied.at(-1)).toBe(2);
    expect(states).toEqual([
      { state: "listening", code: undefined },
      { state: "polling", code: "57P01" },
      { state: "listening", code: undefined },
    ]);
    watch.close();
  });

  it("reconnects ever more seldom, up to every three seconds, and tells of it once", async () => {
    const { clock, db, states, watch } = watching();
    await clock.advanceAsync(0);
    Object.assign(db, { pool: refused, listening: refused });
    db.endListeners(refused);
    await clock.advanceAsync(60_000);
    expect(db.listens).toBeGreaterThan(20);
    expect(db.listens).toBeLessThan(45);
    expect(states.map(({ state }) => state)).toEqual(["listening", "polling", "unreachable"]);
    Object.assign(db, { pool: "answers", listening: "answers" });
    await clock.advanceAsync(3000);
    expect(states.at(-1)?.state).toBe("listening");
    watch.close();
  });

  it("gives up a connection that is never made, and closes it when it is made after all", async () => {
    const { clock, db, applied, watch } = watching({
      prepare: (one) => Object.assign(one, { listening: "is silent" }),
    });
    await clock.advanceAsync(5000);
    expect(applied.length).toBeGreaterThan(0);
    db.listening = "answers";
    await clock.advanceAsync(500);
    expect(db.listens).toBe(2);
    for (const release of db.held.splice(0)) release();
    await clock.advanceAsync(0);
    expect(db.closes).toBe(1);
    expect(db.open).toHaveLength(1);
    watch.close();
  });

  it("finds that a pooler stands between, and polls", async () => {
    let pid = 0;
    const { clock, db, states, watch } = watching({
      prepare: (one) => Object.assign(one, { pid: () => (pid += 1) }),
    });
    await clock.advanceAsync(1000);
    expect(states.at(-1)).toEqual({ state: "polling", code: "NOT_LISTENING" });
    await clock.advanceAsync(20_000);
    expect(db.listens).toBe(1);
    watch.close();
  });

  it("tells nothing of a database's error but its code", async () => {
    const { clock, states, watch } = watching({
      listen: false,
      prepare: (db) =>
        Object.assign(db, { pool: Object.assign(new Error("x"), { code: "no 'code'" }) }),
    });
    await clock.advanceAsync(0);
    expect(states).toEqual([{ state: "unreachable", code: "UNKNOWN" }]);
    expect(watch.trouble()).toBe("UNKNOWN");
    watch.close();
  });

  it("goes on although an observer throws", async () => {
    const clock = new FakeClock();
    const { port } = fakeDatabase();
    const watch = watchTables(port, {
      clock,
      random: () => 0.5,
      channel: "c",
      read: async (query) => void (await query("read")),
      onState() {
        throw new Error("planted");
      },
    });
    await clock.advanceAsync(0);
    expect(watch.confirmedAt().monotonicMs).toBe(0);
    await clock.advanceAsync(5000);
    expect(watch.confirmedAt().monotonicMs).toBeGreaterThan(3000);
    watch.close();
  });

  it("refreshes by a read that is sent afterwards, and rejects when that fails", async () => {
    const { clock, db, applied, watch } = watching({ listen: false });
    db.value = 2;
    await watch.refresh();
    expect(applied).toEqual([1, 2]);
    db.pool = refused;
    await expect(watch.refresh()).rejects.toBe(refused);
    watch.close();
    await expect(watch.refresh()).rejects.toMatchObject({ code: "CLOSED" });
    await clock.advanceAsync(0);
  });

  it("leaves no timer, no connection and nobody waiting once closed", async () => {
    for (const listening of ["answers", "is silent", refused] as const) {
      const { clock, db, applied, watch } = watching({
        prepare: (one) => Object.assign(one, { listening }),
      });
      await clock.advanceAsync(100);
      Object.assign(db, { pool: "is silent", listener: "is silent" });
      const refreshed = watch.refresh();
      watch.close();
      watch.close();
      await expect(refreshed).rejects.toMatchObject({ code: "CLOSED" });
      const seen = applied.length;
      for (const release of db.held.splice(0)) release();
      db.change(2);
      await clock.advanceAsync(10_000);
      expect(clock.pendingTimers).toBe(0);
      expect(db.open).toEqual([]);
      expect(applied).toHaveLength(seen);
    }
  });

  it("never goes back, and catches up within four seconds, whatever fails in which order", async () => {
    const way = fc.constantFrom<Way>("answers", "is silent", refused);
    const step = fc.oneof(
      fc.record({ at: fc.constantFrom("pool", "listener", "listening"), way }),
      fc.constantFrom("change", "change unheard", "release", "end" as const),
      fc.integer({ min: 1, max: 1500 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.integer(), async (steps, seed) => {
        const random = seededRandom(seed);
        const { clock, db, applied, watch } = watching({ random: () => random.next() });
        let value = 1;
        for (const one of steps) {
          if (typeof one === "number") await clock.advanceAsync(one);
          else if (typeof one === "object") Object.assign(db, { [one.at]: one.way });
          else if (one === "change") db.change((value += 1));
          else if (one === "change unheard") db.value = value += 1;
          else if (one === "release") for (const release of db.held.splice(0)) release();
          else db.endListeners(refused);
        }
        Object.assign(db, { pool: "answers", listener: "answers", listening: "answers" });
        for (const release of db.held.splice(0)) release();
        await clock.advanceAsync(4000);
        watch.close();
        expect(applied).toEqual(applied.toSorted((a, b) => a - b));
        expect(applied.at(-1)).toBe(value);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});

// What takes a connection away in the middle needs a server of its own or a proxy: see sql-flags.test.ts and
// test/faults, which run on PostgreSQL only.
describeOnDatabases(
  "watchTables",
  { postgres: (connectionString) => postgres({ connectionString }), pglite: () => pglite() },
  (openDatabase) => {
    const waiting = { timeout: 20_000, interval: 5 };
    const channel = "watched";
    let db: SqlDatabase;
    beforeAll(async () => {
      db = await openDatabase();
      // PGlite starts at first use, and takes its time.
      await db.query("SELECT 1");
    }, 60_000);
    beforeEach(() =>
      db.exec("DROP TABLE IF EXISTS t; CREATE TABLE t (value integer); INSERT INTO t VALUES (1);"),
    );

    /** No time passes on its clock but by the test. */
    function watchingDatabase(options: { readonly listen?: boolean } = {}) {
      const clock = new FakeClock();
      const applied: number[] = [];
      const states: WatchState[] = [];
      const watch = watchTables(db, {
        clock,
        random: () => 0.5,
        channel,
        ...options,
        async read(query) {
          const { rows } = await query<{ value: number }>("SELECT value FROM t");
          applied.push(rows[0]?.value ?? Number.NaN);
        },
        onState: (state) => states.push(state),
      });
      onTestFinished(() => watch.close());
      const until = (value: number): Promise<void> =>
        vi.waitFor(() => expect(applied.at(-1)).toBe(value), waiting);
      return { clock, watch, applied, states, until };
    }
    const change = (value: number): Promise<void> =>
      db.exec(`UPDATE t SET value = ${value}; NOTIFY ${channel};`);

    it("hears a change without time passing, and reads once for each", async () => {
      const { applied, states, until } = watchingDatabase();
      await until(1);
      await change(2);
      await until(2);
      await change(3);
      await until(3);
      expect(applied).toEqual([1, 2, 3]);
      expect(states).toEqual([{ state: "listening", code: undefined }]);
    });

    it("ends in what was committed last, however many changes are announced at once", async () => {
      const { applied, until } = watchingDatabase();
      await until(1);
      await Promise.all(Array.from({ length: 50 }, (_, at) => change(at + 2)));
      const { rows } = await db.query<{ value: number }>("SELECT value FROM t");
      await until(rows[0]?.value ?? Number.NaN);
      expect(applied.length).toBeLessThan(100);
    });

    it("hears nothing of a change that is rolled back, and nothing before it is committed", async () => {
      const { watch, applied, until } = watchingDatabase();
      await until(1);
      const undone = db.transaction(async (query) => {
        await query("UPDATE t SET value = 2");
        await query(`NOTIFY ${channel}`);
        throw new Error("undone");
      });
      await expect(undone).rejects.toThrow("undone");
      await watch.refresh();
      expect(new Set(applied)).toEqual(new Set([1]));
      await change(3);
      await until(3);
    });

    it("sees a change by its poll where it does not listen", async () => {
      const { clock, until, states } = watchingDatabase({ listen: false });
      await until(1);
      await change(2);
      clock.advance(1000);
      await until(2);
      expect(states).toEqual([{ state: "polling", code: undefined }]);
    });

    it("is still heard at each heartbeat, so none of them is taken for a pooler's", async () => {
      const { clock, watch, states, until } = watchingDatabase();
      await until(1);
      for (let beat = 0; beat < 4; beat += 1) {
        // Over the same connection, so the heartbeat before it was answered.
        await watch.refresh();
        clock.advance(1000);
      }
      await change(9);
      await until(9);
      expect(states).toEqual([{ state: "listening", code: undefined }]);
    });

    it("says why it can't read, refuses a refresh, and comes back", async () => {
      const { clock, watch, states, until } = watchingDatabase();
      await until(1);
      await db.exec("ALTER TABLE t RENAME TO u");
      await expect(watch.refresh()).rejects.toMatchObject({ code: "42P01" });
      expect(watch.trouble()).toBe("42P01");
      expect(states.at(-1)).toEqual({ state: "unreachable", code: "42P01" });
      await db.exec("UPDATE u SET value = 2; ALTER TABLE u RENAME TO t;");
      clock.advance(1000);
      await until(2);
      expect(watch.trouble()).toBeUndefined();
    });

    it("hears nothing once it is closed", async () => {
      const { clock, watch, applied, until } = watchingDatabase();
      await until(1);
      watch.close();
      const other = watchingDatabase();
      await change(2);
      await other.until(2);
      expect(applied).toEqual([1]);
      expect(clock.pendingTimers).toBe(0);
    });
  },
);
