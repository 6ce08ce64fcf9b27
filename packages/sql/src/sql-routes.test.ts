import type { FlagProblem } from "@sluice/contract";
import { describeOnDatabases, FakeClock, realClock } from "@sluice/testkit";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { SqlDatabase, SqlListenHandlers, SqlQuery } from "./database.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { sqlRoutes, type SqlRoutesOptions } from "./sql-routes.ts";

type Row = Readonly<Record<string, unknown>>;

/** A database with one table, whose changes are heard when the test says so. */
function fakeDatabase(first: readonly Row[]) {
  let rows: readonly Row[] = first;
  let standby = false;
  let handlers: SqlListenHandlers | undefined;
  const statements: string[] = [];
  const channels: string[] = [];
  const query = ((text) => {
    statements.push(text);
    const answer = { standby, table_rows: rows, pid: 1, heard: true };
    return Promise.resolve({ rows: [answer], affected: 0 });
  }) as SqlQuery;
  const db: SqlDatabase = {
    kind: "postgres",
    query,
    exec: () => Promise.resolve(),
    transaction: (work) => work(query),
    listen(channel, given) {
      channels.push(channel);
      handlers = given;
      return Promise.resolve({ query, close: () => undefined });
    },
    close: () => Promise.resolve(),
  };
  return {
    db,
    statements,
    channels,
    change: (changed: readonly Row[]): void => {
      rows = changed;
      handlers?.onNotify("{}");
    },
    becomeStandby: (): void => {
      standby = true;
    },
  };
}

const openai: Row = { provider: "openai", is_default: true, position: 0 };
const custom: Row = { provider: "custom", position: 1 };

function open(first: readonly Row[], more: Partial<SqlRoutesOptions> = {}) {
  const clock = new FakeClock();
  const database = fakeDatabase(first);
  const problems: FlagProblem[] = [];
  const routes = sqlRoutes(database.db, {
    clock,
    random: () => 0.5,
    onProblem: (problem) => problems.push(problem),
    ...more,
  });
  const settle = (): Promise<void> => clock.advanceAsync(3000);
  return {
    ...database,
    clock,
    routes,
    problems,
    settle,
    changeTo: (rows: readonly Row[]): Promise<void> => {
      database.change(rows);
      return settle();
    },
    shown: (): string[] =>
      routes
        .read()
        .map(({ provider, enabled, weight }) => `${provider} ${enabled ? weight : "off"}`),
  };
}

const fail = (): void => {
  throw new Error("an observer");
};

describe("routes from SQL", () => {
  it("are the rows of the table, in its order", async () => {
    const { routes, settle, shown } = open([custom, openai]);
    expect(routes.read()).toEqual([]);
    await settle();
    await routes.ready();
    expect(routes.name).toBe("sql");
    expect(shown()).toEqual(["openai 1", "custom 1"]);
    routes.close();
  });

  it("are those given at first until the table was read", async () => {
    const initial = [{ provider: "openai" }];
    const { routes, settle, shown } = open([custom], { initial });
    expect(routes.read()).toBe(initial);
    await settle();
    expect(shown()).toEqual(["custom 1"]);
    routes.close();
  });

  it("are read from the table of the prefix, and heard on its channel", async () => {
    const { routes, settle, statements, channels } = open([], { names: { prefix: "p3_" } });
    await settle();
    expect(statements.join()).toContain('"public"."p3_ai_provider_configs"');
    expect(channels[0]).toMatch(/^sluice_changed_/);
    routes.close();
  });

  it("follow a change, and tell of it once", async () => {
    const { routes, settle, changeTo, shown } = open([openai, custom]);
    await settle();
    const listener = vi.fn<() => void>();
    const stop = routes.onChange(listener);
    await changeTo([openai, { ...custom, weight: 5 }]);
    expect(shown()).toEqual(["openai 1", "custom 5"]);
    expect(listener).toHaveBeenCalledOnce();
    stop();
    await changeTo([openai]);
    expect(listener).toHaveBeenCalledOnce();
    routes.close();
  });

  it("are the same array while nothing of theirs changed, whatever the order of rows", async () => {
    const { routes, settle, changeTo } = open([openai, custom]);
    await settle();
    const rows = routes.read();
    await changeTo([custom, { ...openai, version: 7, owner: "us" }]);
    expect(routes.read()).toBe(rows);
    routes.close();
  });

  it("stay as they were when a row is malformed, and that is told once for each change", async () => {
    const { routes, settle, changeTo, problems } = open([openai, custom]);
    await settle();
    const good = routes.read();
    await changeTo([openai, { ...custom, weight: "secret" }]);
    await settle();
    expect(routes.read()).toBe(good);
    const problem = {
      variable: "public.ai_provider_configs.weight",
      expected: "an integer from 0 to 1000000",
      readAs: "the last good route",
    };
    expect(problems).toEqual([problem]);
    await changeTo([openai, { ...custom, weight: "other" }]);
    expect(problems).toEqual([problem, problem]);
    routes.close();
  });

  it("take a row again when it is mended", async () => {
    const { routes, settle, changeTo, shown } = open([openai]);
    await settle();
    await changeTo([openai, { ...custom, weight: "much" }]);
    await changeTo([openai, { ...custom, weight: 2 }]);
    expect(shown()).toEqual(["openai 1", "custom 2"]);
    routes.close();
  });

  it("say what is malformed for as long as it is, by the same array", async () => {
    const { routes, settle, changeTo } = open([openai]);
    expect(routes.problems()).toEqual([]);
    await settle();
    const well = routes.problems();
    expect(well).toEqual([]);
    await changeTo([openai, { ...custom, weight: "secret" }]);
    const problems = routes.problems();
    expect(problems).toEqual([
      {
        variable: "public.ai_provider_configs.weight",
        expected: "an integer from 0 to 1000000",
        readAs: "the last good route",
      },
    ]);
    await changeTo([openai, { ...custom, weight: "other", owner: "us" }]);
    expect(routes.problems()).toBe(problems);
    await changeTo([openai, { ...custom, weight: 1, model: 7 }]);
    expect(routes.problems()).toMatchObject([{ variable: "public.ai_provider_configs.model" }]);
    await changeTo([openai]);
    const mended = routes.problems();
    expect(mended).toEqual([]);
    await changeTo([openai, custom]);
    expect(routes.problems()).toBe(mended);
    routes.close();
  });

  it("lose whom a malformed change disables, and do not get them back before it is mended", async () => {
    const { routes, settle, changeTo, shown } = open([openai, custom]);
    await settle();
    const bad = { ...custom, weight: "much" };
    await changeTo([{ ...openai, enabled: false }, bad]);
    expect(shown()).toEqual(["openai off", "custom 1"]);
    await changeTo([openai, bad]);
    expect(shown()).toEqual(["openai off", "custom 1"]);
    await changeTo([openai, custom]);
    expect(shown()).toEqual(["openai 1", "custom 1"]);
    routes.close();
  });

  it("go on when who is told of them throws", async () => {
    const { routes, settle, changeTo, shown } = open([openai], { onProblem: fail });
    await settle();
    routes.onChange(fail);
    await changeTo([{ ...openai, weight: "much" }]);
    await changeTo([{ ...openai, weight: 4 }]);
    expect(shown()).toEqual(["openai 4"]);
    routes.close();
  });

  it("are ready after 10 s without a database, or when they are closed", async () => {
    const { routes, clock, becomeStandby } = open([openai]);
    becomeStandby();
    const ready = vi.fn<() => void>();
    void routes.ready().then(ready);
    await clock.advanceAsync(9999);
    expect(ready).not.toHaveBeenCalled();
    await clock.advanceAsync(1);
    expect(ready).toHaveBeenCalledOnce();
    routes.close();

    const closed = open([openai]);
    closed.routes.close();
    await expect(closed.routes.ready()).resolves.toBeUndefined();
  });

  it("stay as they were while a standby answers", async () => {
    const { routes, settle, changeTo, becomeStandby, shown } = open([openai]);
    await settle();
    becomeStandby();
    await changeTo([custom]);
    expect(shown()).toEqual(["openai 1"]);
    routes.close();
  });

  it("answer after they were closed, and leave no timer", async () => {
    const { routes, settle, clock, shown } = open([openai]);
    await settle();
    routes.close();
    await settle();
    expect(shown()).toEqual(["openai 1"]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describeOnDatabases(
  "routes from SQL",
  { postgres: (connectionString) => postgres({ connectionString }), pglite: () => pglite() },
  (openDatabase) => {
    const waiting = { timeout: 20_000, interval: 5 };
    let db: SqlDatabase;
    beforeAll(async () => {
      db = await openDatabase();
      await migrate(db);
    }, 60_000);

    const follow = async (
      names: SqlRoutesOptions["names"] = {},
      more: Partial<SqlRoutesOptions> = {},
    ) => {
      const seen = { bytes: 0 };
      const query: SqlQuery = async (text, parameters) => {
        const result = await db.query<never>(text, parameters);
        seen.bytes += JSON.stringify(result.rows).length;
        return result;
      };
      const clock = realClock;
      const routes = sqlRoutes({ ...db, query }, { clock, random: () => 0.5, names, ...more });
      onTestFinished(() => routes.close());
      await routes.ready();
      return { routes, seen };
    };

    it("are what stands in every column that a config has", async () => {
      await db.exec(
        `UPDATE ai_provider_configs SET enabled = false, weight = 7, timeout_ms = 8, max_retries = 9,
          model = 'm', prompt_template_version = 'v', metadata = '{"a": 1}', position = 5
        WHERE provider = 'openai'`,
      );
      const { routes } = await follow();
      expect(routes.read()).toEqual([
        expect.objectContaining({ provider: "custom" }),
        {
          environment: "prod",
          provider: "openai",
          enabled: false,
          isDefault: true,
          weight: 7,
          timeoutMs: 8,
          maxRetries: 9,
          model: "m",
          promptTemplateVersion: "v",
          metadata: { a: 1 },
        },
      ]);
    });

    it("are heard of in listening, long before a poll", async () => {
      const { routes } = await follow({}, { pollMs: 600_000, providers: ["custom"] });
      const listener = vi.fn<() => void>();
      routes.onChange(listener);
      await db.exec("UPDATE ai_provider_configs SET weight = 3 WHERE provider = 'openai'");
      await db.exec("UPDATE ai_provider_configs SET weight = 4 WHERE provider = 'custom'");
      await vi.waitFor(() => expect(routes.read()).toMatchObject([{ weight: 4 }]), waiting);
      // Nothing was told of the row that is not theirs.
      expect(listener).toHaveBeenCalledOnce();
    });

    it("are read of a product's table, without the megabyte in a column of its own", async () => {
      await db.exec(
        `CREATE SCHEMA own;
        CREATE TABLE own.ai_provider_configs (provider text, notes text);
        INSERT INTO own.ai_provider_configs VALUES ('openai', repeat('x', 1000000));`,
      );
      const { routes, seen } = await follow({ schema: "own" }, { listen: false, pollMs: 20 });
      expect(routes.read()).toMatchObject([{ provider: "openai", enabled: true, weight: 1 }]);
      await db.exec("ALTER TABLE own.ai_provider_configs ADD COLUMN weight integer DEFAULT 6");
      await vi.waitFor(() => expect(routes.read()).toMatchObject([{ weight: 6 }]), waiting);
      expect(seen.bytes).toBeLessThan(500_000);
    });

    it("stay when their table is gone, and follow it when it is back", async () => {
      const states: string[] = [];
      const onState = ({ state, code = "" }: { state: string; code: string | undefined }): void =>
        void states.push(`${state} ${code}`.trim());
      await db.exec("CREATE SCHEMA gone; CREATE TABLE gone.ai_provider_configs (provider text)");
      await db.exec("INSERT INTO gone.ai_provider_configs VALUES ('openai')");
      const { routes } = await follow({ schema: "gone" }, { listen: false, pollMs: 20, onState });
      const before = routes.read();
      expect(before).toHaveLength(1);
      await db.exec("ALTER TABLE gone.ai_provider_configs RENAME TO elsewhere");
      await vi.waitFor(() => expect(states.at(-1)).toBe("unreachable 42P01"), waiting);
      expect(routes.read()).toBe(before);
      await db.exec("INSERT INTO gone.elsewhere VALUES ('custom')");
      await db.exec("ALTER TABLE gone.elsewhere RENAME TO ai_provider_configs");
      await vi.waitFor(() => expect(routes.read()).toHaveLength(2), waiting);
      expect(states).toEqual(["polling", "unreachable 42P01", "polling"]);
    });
  },
);
