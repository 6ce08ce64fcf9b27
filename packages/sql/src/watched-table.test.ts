import { FakeClock } from "@sluice/testkit";
import { describe, expect, it, vi } from "vitest";
import type { SqlDatabase, SqlListenHandlers, SqlQuery } from "./database.ts";
import type { WatchState } from "./watch-tables.ts";
import { watchTable, type WatchTableOptions } from "./watched-table.ts";

/** A database whose one answer a test sets, or that fails. */
function fakeDatabase() {
  const database = {
    standby: false as unknown,
    rows: [] as unknown,
    error: undefined as Error | undefined,
    statements: new Set<string>(),
    channels: new Set<string>(),
    heard: undefined as SqlListenHandlers | undefined,
  };
  const query: SqlQuery = async (text) => {
    if (database.error !== undefined) throw database.error;
    database.statements.add(text);
    const { standby, rows } = database;
    return { rows: [{ standby, table_rows: rows, pid: 1, heard: true } as never], affected: 0 };
  };
  const db: SqlDatabase = {
    kind: "postgres",
    query,
    exec: () => Promise.reject(new Error("not used")),
    transaction: () => Promise.reject(new Error("not used")),
    listen(channel, handlers) {
      database.channels.add(channel);
      database.heard = handlers;
      return Promise.resolve({ query, close: () => undefined });
    },
    close: () => Promise.resolve(),
  };
  return { db, database };
}

async function watching(
  options: Partial<WatchTableOptions> = {},
  prepare: (database: ReturnType<typeof fakeDatabase>["database"]) => void = () => undefined,
) {
  const clock = new FakeClock();
  const { db, database } = fakeDatabase();
  prepare(database);
  const seen: (readonly unknown[])[] = [];
  const tableNames = new Set<string>();
  const states: WatchState[] = [];
  const table = watchTable(db, {
    clock,
    random: () => 0.5,
    table: "provider_things",
    columns: ["a"],
    onRows(rows, tableName) {
      seen.push(rows);
      tableNames.add(tableName);
    },
    onState: (state) => states.push(state),
    ...options,
  });
  const ready = vi.fn<() => void>();
  void table.ready().then(ready);
  await clock.advanceAsync(0);
  return { clock, database, table, seen, tableNames, states, ready };
}

const failure = (code: string): Error => Object.assign(new Error("the value of a row"), { code });

const silent = (): Promise<never> => Promise.withResolvers<never>().promise;

const away = (one: { error: Error | undefined }): void => {
  one.error = failure("57P03");
};

describe("watchTable", () => {
  it("hands out every row of the table of its name, on the channel of the names", async () => {
    const { database, table, seen, tableNames } = await watching(
      { names: { schema: "ai", prefix: "p3_" } },
      (one) => {
        one.rows = [{ a: 1 }, { a: 2 }];
      },
    );
    expect(seen).toEqual([[{ a: 1 }, { a: 2 }]]);
    expect([...tableNames]).toEqual(["ai.p3_provider_things"]);
    expect([...database.statements].join()).toContain('FROM "ai"."p3_provider_things" AS t');
    expect([...database.channels].join()).toMatch(/^sluice_changed_\w{16}$/);
    table.close();
  });

  it("hands out rows again on a notification", async () => {
    const { clock, database, table, seen } = await watching();
    database.rows = [1];
    database.heard?.onNotify("{}");
    await clock.advanceAsync(0);
    expect(seen).toEqual([[], [1]]);
    table.close();
  });

  it("is confirmed when it is ready", async () => {
    const { db } = fakeDatabase();
    const clock = new FakeClock();
    const table = watchTable(db, {
      clock,
      random: () => 0.5,
      table: "provider_things",
      columns: ["a"],
      onRows: () => undefined,
    });
    const confirmed = table.ready().then(() => table.confirmedAt().monotonicMs);
    await clock.advanceAsync(0);
    expect(await confirmed).toBe(0);
    table.close();
  });

  it("takes nothing from a standby, also where the table is empty", async () => {
    const { clock, table, seen, states, ready } = await watching({}, (one) => {
      one.standby = true;
    });
    await clock.advanceAsync(3000);
    expect(seen).toEqual([]);
    expect(ready).not.toHaveBeenCalled();
    expect(table.confirmedAt().monotonicMs).toBe(Number.NEGATIVE_INFINITY);
    expect(table.trouble()).toBe("STANDBY");
    expect(states).toEqual([{ state: "unreachable", code: "STANDBY" }]);
    table.close();
  });

  it.each(["28P01", "ECONNREFUSED", "42P01", "42501", "53300"])(
    "says that %s troubles it, until rows are confirmed again",
    async (code) => {
      const { clock, database, table } = await watching({ listen: false });
      expect(table.trouble()).toBeUndefined();
      database.error = failure(code);
      await clock.advanceAsync(1000);
      expect(table.trouble()).toBe(code);
      database.error = undefined;
      database.standby = true;
      await clock.advanceAsync(1000);
      expect(table.trouble()).toBe("STANDBY");
      database.standby = false;
      await clock.advanceAsync(1000);
      expect(table.trouble()).toBeUndefined();
      table.close();
    },
  );

  it("is in trouble by TIMEOUT where no answer comes, and not before its first read has ended", async () => {
    const clock = new FakeClock();
    const { db } = fakeDatabase();
    const table = watchTable(
      { ...db, query: silent, listen: silent },
      {
        clock,
        random: () => 0.5,
        listen: false,
        table: "x",
        columns: ["a"],
        onRows: () => undefined,
      },
    );
    await clock.advanceAsync(999);
    expect(table.trouble()).toBeUndefined();
    await clock.advanceAsync(1);
    expect(table.trouble()).toBe("TIMEOUT");
    table.close();
  });

  it("has not read what it can't take for rows", async () => {
    const { table } = await watching({ listen: false }, (one) => {
      one.rows = "no rows";
    });
    expect(table.trouble()).toBe("UNKNOWN");
    table.close();
    const other = await watching({
      listen: false,
      onRows() {
        throw failure("22P02");
      },
    });
    expect(other.table.trouble()).toBe("22P02");
    other.table.close();
  });

  it("is ready after ten seconds without rows, or when it is closed", async () => {
    const { clock, table, ready } = await watching({}, away);
    await clock.advanceAsync(9999);
    expect(ready).not.toHaveBeenCalled();
    await clock.advanceAsync(1);
    expect(ready).toHaveBeenCalledOnce();
    table.close();
    expect(clock.pendingTimers).toBe(0);

    const closed = await watching({}, away);
    closed.table.close();
    await closed.clock.advanceAsync(0);
    expect(closed.ready).toHaveBeenCalledOnce();
    expect(closed.clock.pendingTimers).toBe(0);
  });

  it("tells each listener of a change until that is taken back, whatever another throws", async () => {
    const { table } = await watching();
    const listener = vi.fn<() => void>();
    table.onChange(() => {
      throw new Error("planted");
    });
    const stopFirst = table.onChange(listener);
    const stopSecond = table.onChange(listener);
    table.changed();
    expect(listener).toHaveBeenCalledTimes(2);
    stopFirst();
    stopFirst();
    table.changed();
    expect(listener).toHaveBeenCalledTimes(3);
    stopSecond();
    table.onChange(listener);
    table.close();
    table.onChange(listener);
    table.changed();
    expect(listener).toHaveBeenCalledTimes(3);
  });
});
