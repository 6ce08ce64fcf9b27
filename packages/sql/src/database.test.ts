import { describeOnDatabases } from "@sluice/testkit";
import { afterEach, beforeAll, expect, it } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

const openers = {
  postgres: (connectionString: string): SqlDatabase => postgres({ connectionString }),
  pglite: (): SqlDatabase => pglite(),
};

describeOnDatabases("SqlDatabase", openers, (open) => {
  let database: SqlDatabase;
  beforeAll(async () => {
    database = await open();
    await database.query("select 1");
  }, 60_000);
  afterEach(() => database.exec("drop table if exists t"));

  it("gives rows with the values of their types", async () => {
    const { rows, affected } = await database.query(`
      select 7::int8 as eight, 9007199254740993::int8 as huge, array[1, null]::int8[] as eights,
        1.50::numeric as exact, 0.5::float8 as near, true as yes, null as nothing,
        '{"a":[1]}'::jsonb as json, array['x', 'y,"z"'] as texts, date '2024-02-29' as day,
        timestamp '2024-02-29 01:02:03' as local, timestamptz '2024-02-29 01:02:03Z' as instant
    `);
    expect(affected).toBe(0);
    expect(rows).toEqual([
      {
        eight: 7,
        huge: 9007199254740993n,
        eights: [1, null],
        exact: "1.50",
        near: 0.5,
        yes: true,
        nothing: null,
        json: { a: [1] },
        texts: ["x", 'y,"z"'],
        day: "2024-02-29",
        local: "2024-02-29 01:02:03",
        instant: new Date("2024-02-29T01:02:03Z"),
      },
    ]);
  });

  it("takes parameters of every type used, absent ones as null", async () => {
    const instant = new Date("2024-02-29T01:02:03.456Z");
    const { rows } = await database.query(
      `select $1::int8 as number, $2::jsonb as json, $3::text[] as texts, $4::timestamptz as instant,
        $5::text as nothing, $6::boolean as no, $7::int8 as huge, $8::text as absent`,
      [5, JSON.stringify(["a"]), ["x", 'y,"z"'], instant, null, false, 2n ** 60n, undefined],
    );
    expect(rows).toEqual([
      {
        number: 5,
        json: ["a"],
        texts: ["x", 'y,"z"'],
        instant,
        nothing: null,
        no: false,
        huge: 2n ** 60n,
        absent: null,
      },
    ]);
  });

  it.each(["'; drop table t; --", '"', "\\", "ä🙂\u2028", "%s $1", " "])(
    "keeps the text %j as it is",
    async (text) => {
      const { rows } = await database.query("select $1::text as text", [text]);
      expect(rows).toEqual([{ text }]);
    },
  );

  it("counts the rows that a statement wrote, not those that it read", async () => {
    await database.query("create table t (n int)");
    const insert = await database.query("insert into t values (1), (2), (3) returning n");
    expect(insert).toEqual({ rows: [{ n: 1 }, { n: 2 }, { n: 3 }], affected: 3 });
    expect((await database.query("update t set n = 0 where n > 1")).affected).toBe(2);
    expect((await database.query("delete from t where n > 9")).affected).toBe(0);
    expect((await database.query("select * from t")).affected).toBe(0);
  });

  it("rejects with the SQLSTATE as code, and goes on", async () => {
    await expect(database.query("select 1/0")).rejects.toMatchObject({
      code: "22012",
      message: "division by zero",
    });
    await expect(database.query("select $1::text", ["a\0b"])).rejects.toMatchObject({
      code: "22021",
    });
    await expect(database.query("select 1; select 2")).rejects.toMatchObject({ code: "42601" });
    await expect(database.query("select * from missing")).rejects.toMatchObject({ code: "42P01" });
    expect((await database.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("runs a script of several statements", async () => {
    await database.exec(`
      -- a comment; with a semicolon
      create table t (text text);
      insert into t values ('a;b');
      do $$ begin insert into t values ('c'); end $$;
    `);
    expect((await database.query("select text from t")).rows).toEqual([
      { text: "a;b" },
      { text: "c" },
    ]);
  });

  it("rejects a script that fails, and does nothing of it", async () => {
    const script = "create table t (n int); select 1/0;";
    await expect(database.exec(script)).rejects.toMatchObject({ code: "22012" });
    expect((await database.query("select to_regclass('t') as t")).rows).toEqual([{ t: null }]);
  });

  it("leaves no transaction open that a script began", async () => {
    await expect(database.exec("begin; select 1/0;")).rejects.toMatchObject({ code: "22012" });
    expect((await database.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("keeps what a transaction wrote, and gives its result", async () => {
    await database.query("create table t (n int)");
    const result = await database.transaction(async (query) => {
      await Promise.all([1, 2, 3].map((n) => query("insert into t values ($1)", [n])));
      return "done";
    });
    expect(result).toBe("done");
    expect((await database.query("select count(*) as rows from t")).rows).toEqual([{ rows: 3 }]);
  });

  it("undoes a transaction whose work rejects, and rejects with that error", async () => {
    await database.query("create table t (n int)");
    const fault = new Error("no");
    const work = database.transaction(async (query) => {
      await query("insert into t values (1)");
      throw fault;
    });
    await expect(work).rejects.toBe(fault);
    expect((await database.query("select * from t")).rows).toEqual([]);
  });

  it("does not say that a transaction was kept which a failed statement undid", async () => {
    await database.query("create table t (n int)");
    const work = database.transaction(async (query) => {
      await query("insert into t values (1)");
      await query("select 1/0").catch(() => undefined);
    });
    await expect(work).rejects.toMatchObject({ code: "25P02" });
    expect((await database.query("select * from t")).rows).toEqual([]);
  });

  it("keeps a transaction that went back to a savepoint", async () => {
    await database.query("create table t (n int)");
    await database.transaction(async (query) => {
      await query("insert into t values (1)");
      await query("savepoint here");
      await query("select 1/0").catch(() => undefined);
      await query("rollback to savepoint here");
    });
    expect((await database.query("select * from t")).rows).toEqual([{ n: 1 }]);
  });

  it("refuses a query of a transaction that is over", async () => {
    let late = database.query;
    await database.transaction(async (query) => {
      late = query;
    });
    await expect(late("select 1")).rejects.toThrow("The transaction is over.");
  });

  it("keeps transactions apart that run at the same time", async () => {
    await database.exec("create table t (n int); insert into t values (0);");
    const add = (): Promise<void> =>
      database.transaction(async (query) => {
        const { rows } = await query<{ n: number }>("select n from t for update");
        await query("update t set n = $1", [(rows[0]?.n ?? 0) + 1]);
      });
    await Promise.all([add(), add(), add(), add(), add(), add()]);
    expect((await database.query("select n from t")).rows).toEqual([{ n: 6 }]);
  });

  it.each(["sluice_changed", 'Od"d ; name'])(
    "hears the channel %j and no other",
    async (channel) => {
      const ear = listener();
      await database.listen(channel, ear.handlers);
      await database.query("select pg_notify('another', 'x')");
      await database.query("select pg_notify($1, 'a')", [channel]);
      await database
        .transaction(async (query) => {
          await query("select pg_notify($1, 'undone')", [channel]);
          throw new Error("no");
        })
        .catch(() => undefined);
      await database.query("select pg_notify($1, $2)", [channel, '{"feature":"ü"}']);
      await ear.heard(2);
      expect(ear.payloads).toEqual(["a", '{"feature":"ü"}']);
    },
  );

  it("answers on the listening connection", async () => {
    const { query } = await database.listen("sluice_changed", listener().handlers);
    expect((await query("select $1::int as n", [1])).rows).toEqual([{ n: 1 }]);
    await expect(query("select 1/0")).rejects.toMatchObject({ code: "22012" });
    expect((await query("select 2 as n")).rows).toEqual([{ n: 2 }]);
  });

  it("hears nothing and answers nothing once it is closed, and calls no handler for that", async () => {
    const [closed, other] = [listener(), listener()];
    const heard = await database.listen("sluice_changed", closed.handlers);
    await database.listen("sluice_changed", other.handlers);
    heard.close();
    heard.close();
    await database.query("select pg_notify('sluice_changed', '')");
    await other.heard(1);
    expect([closed.payloads, closed.ends]).toEqual([[], []]);
    await expect(heard.query("select 1")).rejects.toThrow("The listener is closed.");
  });

  it.each(["", "a\0b", "ä".repeat(32)])("refuses the channel %j", async (channel) => {
    await expect(database.listen(channel, listener().handlers)).rejects.toThrow(
      "listen.channel: got",
    );
  });

  it("rejects every call once it is closed, and tells who listened", async () => {
    const closed = await open();
    const ear = listener();
    await closed.listen("sluice_changed", ear.handlers);
    await closed.close();
    await closed.close();
    expect(ear.ends).toEqual([undefined]);
    const message = "The database is closed.";
    await expect(closed.query("select 1")).rejects.toThrow(message);
    await expect(closed.exec("select 1")).rejects.toThrow(message);
    await expect(closed.transaction(async () => 1)).rejects.toThrow(message);
    await expect(closed.listen("x", ear.handlers)).rejects.toThrow(message);
  });

  it("can be closed before its first use", async () => {
    const closed = await open();
    await closed.close();
    await expect(closed.query("select 1")).rejects.toThrow("The database is closed.");
  });
});

function listener() {
  const payloads: string[] = [];
  const ends: (Error | undefined)[] = [];
  let look: (() => void) | undefined;
  return {
    payloads,
    ends,
    handlers: {
      onNotify: (payload: string) => {
        payloads.push(payload);
        look?.();
      },
      onEnd: (error: Error | undefined) => void ends.push(error),
    },
    heard(count: number): Promise<void> {
      return new Promise((resolve) => {
        look = () => {
          if (payloads.length >= count) resolve();
        };
        look();
      });
    },
  };
}
