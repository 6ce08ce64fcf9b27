import { describeOnDatabases, FakeClock } from "@sluice/testkit";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { SqlDatabase, SqlQuery } from "./database.ts";
import {
  latencyRollup,
  type LatencyRollupOptions,
  type LatencyRollupProblem,
} from "./latency-rollup.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

/** A database with one hour to count, in whose transactions each statement is seen. */
function rolling(options: Partial<LatencyRollupOptions> = {}) {
  const clock = new FakeClock();
  const problems: LatencyRollupProblem[] = [];
  const counted: unknown[] = [];
  const seen = { turns: 0, error: undefined as Error | undefined, gate: Promise.resolve() };
  const query = (async (text: string, parameters: readonly unknown[] = []) => {
    if (seen.error !== undefined) throw seen.error;
    if (text.includes("generate_series")) {
      seen.turns += 1;
      return { rows: [{ start_ms: 7_200_000 }, { start_ms: 3_600_000 }], affected: 0 };
    }
    if (text.includes("VALUES ('hour'")) {
      counted.push(parameters[0]);
      await seen.gate;
    }
    return { rows: [], affected: 1 };
  }) as SqlQuery;
  const db: Pick<SqlDatabase, "transaction"> = { transaction: (work) => work(query) };
  const rollup = latencyRollup(db, {
    clock,
    random: () => 0.5,
    everyMs: 60_000,
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  return { clock, problems, counted, seen, rollup };
}

describe("latencyRollup", () => {
  it("rolls up at once, and at each turn", async () => {
    const { clock, seen, counted, rollup } = rolling();
    await clock.advanceAsync(0);
    expect(seen.turns).toBe(1);
    expect(counted).toEqual(["1970-01-01T02:00:00.000Z", "1970-01-01T01:00:00.000Z"]);
    await clock.advanceAsync(59_999);
    expect(seen.turns).toBe(1);
    await clock.advanceAsync(1);
    expect(seen.turns).toBe(2);
    await rollup.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it("spreads the turns of processes by 20 % either way", async () => {
    const { clock, seen } = rolling({ random: () => 0 });
    await clock.advanceAsync(48_000);
    expect(seen.turns).toBe(2);
  });

  it("begins no turn while one is under way, and no hour after close", async () => {
    const { clock, seen, counted, rollup } = rolling();
    const gate = Promise.withResolvers<void>();
    seen.gate = gate.promise;
    await clock.advanceAsync(200_000);
    expect(seen.turns).toBe(1);
    expect(counted).toHaveLength(1);
    const closed = rollup.close();
    gate.resolve();
    await closed;
    await clock.advanceAsync(200_000);
    expect(counted).toHaveLength(1);
  });

  it("tells once that it fails, by the code alone, and once that it rolls again", async () => {
    const { clock, seen, problems } = rolling();
    await clock.advanceAsync(0);
    seen.error = Object.assign(new Error("values of a row"), { code: "42501" });
    await clock.advanceAsync(180_000);
    expect(problems).toEqual([{ state: "failing", code: "42501" }]);
    seen.error = undefined;
    await clock.advanceAsync(180_000);
    expect(problems.slice(1)).toEqual([{ state: "rolling", code: undefined }]);
  });

  it("goes on where the observer throws", async () => {
    const { clock, seen } = rolling({
      onProblem: () => {
        throw new Error("observer");
      },
    });
    seen.error = new Error("away");
    await clock.advanceAsync(60_000);
    seen.error = undefined;
    await clock.advanceAsync(60_000);
    expect(seen.turns).toBe(1);
  });

  it("refuses an interval under a second, names that are none, and options that it has not", () => {
    expect(() => rolling({ everyMs: 10 })).toThrow(/latencyRollup\.everyMs: got /);
    const misspelt: object = { everyMS: 60_000 };
    expect(() => rolling(misspelt)).toThrow(/latencyRollup\.everyMS: got an unknown option/);
    expect(() => rolling({ names: { prefix: "P3-" } })).toThrow(/prefix: got /);
  });
});

describeOnDatabases(
  "latencyRollup",
  { postgres: (connectionString) => postgres({ connectionString }), pglite: () => pglite() },
  (open) => {
    const waiting = { timeout: 20_000, interval: 5 };
    let db: SqlDatabase;
    beforeAll(async () => {
      db = await open();
      await migrate(db);
    }, 60_000);
    beforeEach(() =>
      db.exec("TRUNCATE ai_training_examples, latency_hours, latency_days, latency_rolled_up"),
    );

    const record = (hoursAgo: number, latencyMs: number): Promise<unknown> =>
      db.query(
        `INSERT INTO ai_training_examples (selected_provider, latency_ms, created_at)
         VALUES ('openai', $1, clock_timestamp() - $2 * interval '1 hour')`,
        [latencyMs, hoursAgo],
      );
    const counted = async (): Promise<number> =>
      (await db.query<{ n: number }>("SELECT coalesce(sum(n), 0)::integer AS n FROM latency_hours"))
        .rows[0]?.n ?? Number.NaN;
    const until = (n: number): Promise<void> =>
      vi.waitFor(async () => expect(await counted()).toBe(n), waiting);
    function run() {
      const clock = new FakeClock();
      const problems: LatencyRollupProblem[] = [];
      const rollup = latencyRollup(db, {
        clock,
        random: () => 0.5,
        everyMs: 60_000,
        onProblem: (problem) => problems.push(problem),
      });
      onTestFinished(() => rollup.close());
      return { clock, problems, rollup };
    }

    it("counts the hours that are over, and at its next turn those that came since", async () => {
      await record(3, 100);
      await record(3, 200);
      await record(0, 300);
      const { clock, problems, rollup } = run();
      await until(2);
      // What has no hour of its own yet, in one that was never counted.
      await db.exec("DELETE FROM latency_rolled_up; DELETE FROM latency_hours");
      await record(5, 400);
      await vi.waitFor(async () => {
        clock.advance(60_000);
        expect(await counted()).toBe(3);
      }, waiting);
      await rollup.close();
      expect(problems).toEqual([]);
    });

    it("counts each hour once, however many processes do it at once", async () => {
      for (let hour = 2; hour < 8; hour += 1) await record(hour, hour);
      const all = Array.from({ length: 4 }, run);
      await until(6);
      for (const { clock } of all) clock.advance(60_000);
      await Promise.all(all.map(({ rollup }) => rollup.close()));
      expect(await counted()).toBe(6);
      expect(all.flatMap(({ problems }) => problems)).toEqual([]);
    });

    it("tells that its table is missing, and rolls on once it is there", async () => {
      await record(3, 100);
      await db.exec("ALTER TABLE latency_hours RENAME TO elsewhere");
      const { clock, problems } = run();
      await vi.waitFor(
        () => expect(problems).toEqual([{ state: "failing", code: "42P01" }]),
        waiting,
      );
      await db.exec("ALTER TABLE elsewhere RENAME TO latency_hours");
      await vi.waitFor(async () => {
        clock.advance(60_000);
        expect(await counted()).toBe(1);
      }, waiting);
      await vi.waitFor(() => expect(problems.at(-1)?.state).toBe("rolling"), waiting);
    });
  },
);
