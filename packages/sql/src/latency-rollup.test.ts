import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import type { SqlDatabase, SqlQuery } from "./database.ts";
import {
  latencyRollup,
  type LatencyRollupOptions,
  type LatencyRollupProblem,
} from "./latency-rollup.ts";

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

  it("refuses an interval under a second, and names that are none", () => {
    expect(() => rolling({ everyMs: 10 })).toThrow(/latencyRollup\.everyMs: got /);
    expect(() => rolling({ names: { prefix: "P3-" } })).toThrow(/prefix: got /);
  });
});
