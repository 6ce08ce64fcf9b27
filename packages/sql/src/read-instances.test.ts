import { describeOnDatabases, realClock } from "@sluice/testkit";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { awaitApplied, readInstances } from "./read-instances.ts";
import { sqlFlags } from "./sql-flags.ts";
import { sqlInstance, type SqlInstance } from "./sql-instance.ts";

const openers = {
  postgres: (connectionString: string) => postgres({ connectionString, poolSize: 10 }),
  pglite: () => pglite(),
};

const names = { schema: "ai", prefix: "p3_" };
const waiting = { timeout: 10_000, interval: 5 };
const feature = "p3_advisory";

describeOnDatabases("instances", openers, (open) => {
  let db: SqlDatabase;
  const opened: { close(): unknown }[] = [];

  beforeAll(async () => {
    db = await open();
    await migrate(db, { names });
  }, 60_000);
  beforeEach(async () => {
    await db.query("DELETE FROM ai.p3_feature_state");
    await db.query("DELETE FROM ai.p3_sluice_instances");
    await db.query(
      "INSERT INTO ai.p3_feature_state (feature_name, enabled, rollout_percent) VALUES ($1, true, 50)",
      [feature],
    );
  });
  afterEach(async () => {
    for (const one of opened.splice(0).toReversed()) await one.close();
  });

  const version = async (): Promise<number> => {
    const { rows } = await db.query<{ version: number }>(
      "SELECT version FROM ai.p3_feature_state WHERE feature_name = $1",
      [feature],
    );
    return rows[0]?.version ?? Number.NaN;
  };
  const kill = async (): Promise<number> => {
    await db.query("UPDATE ai.p3_feature_state SET enabled = false WHERE feature_name = $1", [
      feature,
    ]);
    return version();
  };
  const read = (of: number, more: { readonly aliveMs?: number } = {}) =>
    readInstances(db, { names, feature, version: of, ...more });
  const wait = (of: number, timeoutMs = 5000) =>
    awaitApplied(db, { clock: realClock, names, feature, version: of, timeoutMs });
  const ids = async () => {
    const { rows } = await db.query<{ id: string }>(
      "SELECT instance_id AS id FROM ai.p3_sluice_instances ORDER BY 1",
    );
    return rows.map(({ id }) => id);
  };

  /** Processes by these ids whose flags were read; each has its row when this resolves. */
  const start = async (...wanted: string[]): Promise<SqlInstance[]> => {
    const problems: unknown[] = [];
    const onProblem = (problem: unknown) => problems.push(problem);
    const instances = await Promise.all(
      wanted.map(async (id) => {
        const flags = sqlFlags(db, { clock: realClock, random: () => 0.5, names });
        opened.push(flags);
        await flags.ready();
        const instance = sqlInstance(db, {
          clock: realClock,
          instanceId: id,
          flags,
          names,
          onProblem,
        });
        opened.push(instance);
        return instance;
      }),
    );
    const asked = { names, feature, version: await version() };
    await vi.waitFor(
      async () => expect(await readInstances(db, asked)).toMatchObject({ applied: wanted.length }),
      waiting,
    );
    expect(problems).toEqual([]);
    return instances;
  };

  it("tells that 3 of 3 processes applied a kill, and how long the last one took", async () => {
    await start("a", "b", "c");
    const killed = await kill();
    const result = await wait(killed);
    expect(result).toMatchObject({ alive: 3, applied: 3, complete: true });
    expect(result.slowestMs).toBeGreaterThan(0);
    expect(result.slowestMs).toBeLessThan(5000);
    expect(await read(killed + 1)).toEqual({ alive: 3, applied: 0, slowestMs: undefined });
    expect(await readInstances(db, { names, feature: "another", version: 1 })).toMatchObject({
      alive: 3,
      applied: 0,
    });
  });

  it("keeps the time at which a version was applied over later beats", async () => {
    await start("a");
    const killed = await kill();
    const { slowestMs } = await wait(killed);
    await db.query(
      "INSERT INTO ai.p3_feature_state (feature_name, enabled, rollout_percent) VALUES ('x', true, 1)",
    );
    const another = { names, feature: "x", version: 1, clock: realClock, timeoutMs: 5000 };
    expect(await awaitApplied(db, another)).toMatchObject({ complete: true });
    expect(await read(killed)).toEqual({ alive: 1, applied: 1, slowestMs });
  });

  it("leaves a process that started after the change out of the time, but counts it", async () => {
    const killed = await kill();
    await start("late");
    expect(await read(killed)).toEqual({ alive: 1, applied: 1, slowestMs: undefined });
  });

  it("is incomplete at the timeout while a living process lacks the version", async () => {
    await start("a");
    await db.query(
      "INSERT INTO ai.p3_sluice_instances (instance_id, application_name) VALUES ('stuck', 'test')",
    );
    const result = await wait(await kill(), 300);
    expect(result).toMatchObject({ alive: 2, complete: false });
  });

  it("counts no process that was not seen for a while, and waits for none where none lives", async () => {
    await db.query(
      `INSERT INTO ai.p3_sluice_instances (instance_id, application_name, seen_at)
       VALUES ('gone', 'test', clock_timestamp() - interval '20 seconds')`,
    );
    const none = { alive: 0, applied: 0, slowestMs: undefined };
    expect(await wait(1, 60_000)).toEqual({ ...none, complete: false });
    expect(await read(1, { aliveMs: 60_000 })).toEqual({ ...none, alive: 1 });
  });

  it("removes rows that are older than an hour, and its own when closed", async () => {
    await db.query(
      `INSERT INTO ai.p3_sluice_instances (instance_id, application_name, seen_at)
       VALUES ('old', 'test', clock_timestamp() - interval '61 minutes'),
              ('young', 'test', clock_timestamp() - interval '59 minutes')`,
    );
    const [instance] = await start("a");
    await vi.waitFor(async () => expect(await ids()).toEqual(["a", "young"]), waiting);
    await instance?.close();
    expect(await ids()).toEqual(["young"]);
  });

  it("comes back under its id after more than an hour away", async () => {
    await db.query(
      `INSERT INTO ai.p3_sluice_instances (instance_id, application_name, seen_at)
       VALUES ('a', 'test', clock_timestamp() - interval '2 hours')`,
    );
    await start("a");
    expect(await ids()).toEqual(["a"]);
  });

  it("has no trigger on its table, so a beat announces nothing", async () => {
    const { rows } = await db.query<{ found: number }>(
      `SELECT count(*)::int AS found FROM pg_trigger
       WHERE tgrelid = 'ai.p3_sluice_instances'::regclass AND NOT tgisinternal`,
    );
    expect(rows).toEqual([{ found: 0 }]);
  });

  it("takes any text for a feature's name", async () => {
    const odd = `x'; DROP TABLE "p3" -- {}\u{1F600}`;
    await db.query(
      "INSERT INTO ai.p3_feature_state (feature_name, enabled, rollout_percent) VALUES ($1, true, 1)",
      [odd],
    );
    await start("a");
    expect(await readInstances(db, { names, feature: odd, version: 1 })).toMatchObject({
      applied: 1,
    });
    await db.query("DELETE FROM ai.p3_feature_state WHERE feature_name = $1", [odd]);
  });
});
