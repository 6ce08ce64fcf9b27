import { ConfigError, type Confirmation } from "@sluice/contract";
import { describeOnDatabases, FakeClock } from "@sluice/testkit";
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { sqlInstance, type InstanceProblem, type SqlInstanceOptions } from "./sql-instance.ts";

interface Sent {
  readonly text: string;
  readonly parameters: readonly unknown[];
  readonly answer: () => void;
  readonly fail: (error: unknown) => void;
}

/** A database that answers when told to. */
function fakeDatabase() {
  const sent: Sent[] = [];
  const db: SqlDatabase = {
    kind: "postgres",
    query: (text, parameters = []) =>
      new Promise((resolve, reject) => {
        const answer = () => resolve({ rows: [], affected: 1 });
        sent.push({ text, parameters, answer, fail: reject });
      }),
    exec: () => Promise.reject(new Error("not used")),
    transaction: () => Promise.reject(new Error("not used")),
    listen: () => Promise.reject(new Error("not used")),
    close: () => Promise.resolve(),
  };
  return { db, sent };
}

async function beating(options: Partial<SqlInstanceOptions> = {}) {
  const clock = new FakeClock();
  const { db, sent } = fakeDatabase();
  const problems: InstanceProblem[] = [];
  const versions = new Map<string, number | undefined>();
  const listeners = new Set<() => void>();
  let confirmed: Confirmation = { monotonicMs: -Infinity, wallMs: -Infinity };
  const instance = sqlInstance(db, {
    clock,
    instanceId: "i",
    flags: {
      versions: () => versions,
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      confirmedAt: () => confirmed,
    },
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  const settle = () => clock.advanceAsync(0);
  await settle();
  return {
    clock,
    sent,
    problems,
    instance,
    listeners,
    settle,
    last: () => sent.at(-1),
    applied: () => JSON.parse(String(sent.at(-1)?.parameters[1])) as { feature: string }[],
    confirm: () => (confirmed = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }),
    change: async (next: Record<string, number | undefined>) => {
      for (const [feature, version] of Object.entries(next)) versions.set(feature, version);
      for (const listener of listeners) listener();
      await settle();
    },
    remove: (feature: string) => versions.delete(feature),
    answer: async () => {
      sent.at(-1)?.answer();
      await settle();
    },
    fail: async (code: string) => {
      sent.at(-1)?.fail(Object.assign(new Error("secret"), { code }));
      await settle();
    },
  };
}

describe("sqlInstance", () => {
  it("beats at once and at each interval, without keeping the process alive", async () => {
    const { clock, sent, answer, settle, instance } = await beating({ beatMs: 100 });
    expect(sent).toHaveLength(1);
    await answer();
    await clock.advanceAsync(100);
    expect(sent).toHaveLength(2);
    await answer();
    const closed = instance.close();
    await settle();
    await answer();
    await closed;
    expect(clock.pendingTimers).toBe(0);
  });

  it("writes after a change at once, and one at a time however many come", async () => {
    const { clock, sent, answer, change, applied } = await beating();
    await answer();
    await change({ a: 1 });
    expect(sent).toHaveLength(2);
    await change({ a: 2 });
    await change({ a: 3 });
    await clock.advanceAsync(20_000);
    expect(sent).toHaveLength(2);
    await answer();
    expect(sent).toHaveLength(3);
    expect(applied()).toEqual([{ feature: "a", version: 3, ago_ms: 20_000 }]);
    await answer();
    expect(sent).toHaveLength(3);
  });

  it("tells when a version was applied, not when it was written", async () => {
    const { clock, answer, change, applied } = await beating({ beatMs: 100 });
    await change({ a: 1, none: undefined });
    await clock.advanceAsync(40);
    await answer();
    expect(applied()).toEqual([{ feature: "a", version: 1, ago_ms: 40 }]);
  });

  it("keeps the thousand features that changed last, and none whose row is gone", async () => {
    const { answer, change, applied, remove } = await beating();
    await answer();
    await change(Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`f${at}`, 1])));
    await answer();
    expect(applied()).toHaveLength(1000);
    expect(applied()[0]?.feature).toBe("f1");
    remove("f2");
    await change({ f0: 2 });
    const features = applied().map(({ feature }) => feature);
    expect(features.at(-1)).toBe("f0");
    expect(features).toContain("f1");
    expect(features).not.toContain("f2");
  });

  it("tells how old the flags are, and nothing of it before they were read", async () => {
    const { clock, last, answer, confirm } = await beating({ beatMs: 100 });
    expect(last()?.parameters[2]).toBeNull();
    await answer();
    confirm();
    await clock.advanceAsync(100);
    expect(last()?.parameters[2]).toBe(100);
  });

  it("tells of a failure once, without its text, and once that it beats again", async () => {
    const { clock, problems, answer, fail } = await beating({ beatMs: 100 });
    await fail("42P01");
    await clock.advanceAsync(100);
    await fail("42501");
    expect(problems).toEqual([{ state: "failing", code: "42P01" }]);
    await clock.advanceAsync(100);
    await answer();
    await clock.advanceAsync(100);
    await answer();
    expect(problems.slice(1)).toEqual([{ state: "beating", code: undefined }]);
  });

  it("beats on where its observer or the database throws", async () => {
    const { clock, sent, fail } = await beating({
      beatMs: 100,
      onProblem: () => {
        throw new Error("observer");
      },
    });
    await fail("42P01");
    await clock.advanceAsync(100);
    expect(sent).toHaveLength(2);
  });

  it("takes its row away after the write that is under way, and writes no more", async () => {
    const { sent, answer, instance, listeners, change } = await beating();
    await change({ a: 1 });
    const closed = instance.close();
    expect(listeners.size).toBe(0);
    expect(sent).toHaveLength(1);
    await answer();
    expect(sent).toHaveLength(2);
    expect(sent[1]?.text).toMatch(/^DELETE/u);
    await answer();
    await closed;
    await instance.close();
    expect(sent).toHaveLength(2);
  });

  it("closes within its deadline where the database does not answer", async () => {
    const { clock, instance } = await beating({ closeMs: 50 });
    let isClosed = false;
    void instance.close().then(() => (isClosed = true));
    await clock.advanceAsync(49);
    expect(isClosed).toBe(false);
    await clock.advanceAsync(1);
    expect(isClosed).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("closes where its row can't be taken away", async () => {
    const { answer, fail, settle, instance } = await beating();
    await answer();
    const closed = instance.close();
    await settle();
    await fail("42501");
    await expect(closed).resolves.toBeUndefined();
  });

  it.each([
    [
      { instanceId: "" },
      'sqlInstance.instanceId: got "", expected 1 to 128 characters, no control characters',
    ],
    [
      { instanceId: "x".repeat(129) },
      /^sqlInstance\.instanceId: got "x{60}…", expected 1 to 128 characters,/,
    ],
    [{ instanceId: "a\nb" }, /^sqlInstance\.instanceId: got .*, expected 1 to 128 characters,/],
    [{ instanceId: 7 }, "sqlInstance.instanceId: got 7, expected a value of type string"],
    [{ beatMs: 0 }, "sqlInstance.beatMs: got 0, expected at least 10"],
    [{ beatMs: 3e9 }, "sqlInstance.beatMs: got 3000000000, expected at most 2147000000"],
    [{ closeMs: Number.NaN }, /^sqlInstance\.closeMs: got NaN, expected/],
    [{ clock: undefined }, "sqlInstance.clock: got nothing, expected a value of type object"],
    [{ flags: {} }, /^sqlInstance\.flags\.versions: got nothing, expected a function/],
    [{ onProblem: "log" }, /^sqlInstance\.onProblem: got "log", expected a function/],
    [{ beat_ms: 5 }, "sqlInstance.beat_ms: got an unknown option, expected only documented"],
    [{ names: { prefix: "P3" } }, 'names.prefix: got "P3", expected lower-case letters'],
    [{ names: { table: "x" } }, "names.table: got an unknown option, expected only documented"],
  ])("refuses %j in one line", async (options, line) => {
    const refused = beating(options as Partial<SqlInstanceOptions>);
    await expect(refused).rejects.toThrow(line);
    await expect(refused).rejects.toThrow(ConfigError);
  });
});

describeOnDatabases(
  "sqlInstance's row",
  { postgres: (connectionString) => postgres({ connectionString }), pglite: () => pglite() },
  (open) => {
    const waiting = { timeout: 20_000, interval: 5 };
    let db: SqlDatabase;
    beforeAll(async () => {
      db = await open();
      await migrate(db);
    }, 60_000);
    afterEach(() => db.exec("DELETE FROM sluice_instances"));

    const rows = async () =>
      (
        await db.query(
          `SELECT instance_id, lag_ms, jsonb_path_query_first(applied, '$.demo.version') AS version,
             extract(epoch FROM seen_at - (applied #>> '{demo,at}')::timestamptz)::float8 AS applied_ago
           FROM sluice_instances ORDER BY seen_at`,
        )
      ).rows;
    const until = (expected: readonly object[]): Promise<void> =>
      vi.waitFor(async () => expect(await rows()).toMatchObject(expected), waiting);

    function run(id: string) {
      const clock = new FakeClock();
      const versions = new Map<string, number | undefined>();
      const listeners = new Set<() => void>();
      const problems: InstanceProblem[] = [];
      const confirmedAt = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
      const instance = sqlInstance(db, {
        clock,
        instanceId: id,
        flags: {
          versions: () => versions,
          onChange(listener) {
            listeners.add(listener);
            return () => void listeners.delete(listener);
          },
          confirmedAt: () => confirmedAt,
        },
        beatMs: 1000,
        onProblem: (problem) => problems.push(problem),
      });
      onTestFinished(() => instance.close());
      const apply = (version: number): void => {
        versions.set("demo", version);
        for (const listener of listeners) listener();
      };
      return { clock, instance, problems, apply };
    }

    it("is there at once, tells what was applied and when, and goes when it is closed", async () => {
      const { clock, instance, apply, problems } = run("a");
      await until([{ instance_id: "a", lag_ms: 0, version: null }]);
      apply(3);
      await until([{ version: 3, lag_ms: 0 }]);
      await vi.waitFor(async () => {
        // A beat is left out while a write is under way.
        clock.advance(1000);
        const [row] = await rows();
        expect(row?.["lag_ms"]).toBeGreaterThanOrEqual(1000);
      }, waiting);
      // Its time is of the first write that had the version.
      expect((await rows())[0]?.["applied_ago"]).toBeGreaterThan(0);
      await instance.close();
      expect(await rows()).toEqual([]);
      expect(problems).toEqual([]);
    });

    it("stands beside those of other processes, under any line of text", async () => {
      const odd = `'; DROP TABLE "sluice_instances" -- ${"\u{1F600}".repeat(20)}`;
      const one = run(odd);
      await until([{ instance_id: odd }]);
      run("b");
      await until([{ instance_id: odd }, { instance_id: "b" }]);
      await one.instance.close();
      expect(await rows()).toMatchObject([{ instance_id: "b" }]);
    });

    it("is written again once its table is there again", async () => {
      const { clock, problems } = run("a");
      await until([{ instance_id: "a" }]);
      await db.exec("ALTER TABLE sluice_instances RENAME TO elsewhere");
      await vi.waitFor(() => {
        clock.advance(1000);
        expect(problems).toEqual([{ state: "failing", code: "42P01" }]);
      }, waiting);
      await db.exec(
        "ALTER TABLE elsewhere RENAME TO sluice_instances; DELETE FROM sluice_instances",
      );
      await vi.waitFor(() => {
        clock.advance(1000);
        expect(problems.at(-1)?.state).toBe("beating");
      }, waiting);
      expect(await rows()).toMatchObject([{ instance_id: "a" }]);
    });
  },
);
