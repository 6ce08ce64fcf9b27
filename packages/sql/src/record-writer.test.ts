import { ConfigError, type OutcomeEvent } from "@sluice/contract";
import { describeOnDatabases, FakeClock } from "@sluice/testkit";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { SqlDatabase, SqlQuery, SqlResult } from "./database.ts";
import { sqlNames } from "./names.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import type { RecordProblem } from "./record-reports.ts";
import { recordWriter, type RecordWriterOptions } from "./record-writer.ts";

const migration = readFileSync(new URL("../migrations/0003_records.sql", import.meta.url), "utf8");

function outcome(id: number | string, fields: Partial<OutcomeEvent> = {}): OutcomeEvent {
  return {
    v: 4,
    at_ms: Date.UTC(2026, 0, 1),
    feature: "demo",
    event: "outcome",
    decision_id: "d",
    outcome: "SUCCEEDED",
    path: "ai",
    request_id: String(id),
    fallback_used: false,
    latency_ms: 12.6,
    attempts: [],
    skipped: [],
    tools: [],
    measures: {},
    ...fields,
  };
}

/** Answers when told to; `fails` says with which code a batch of ids is turned down. */
function fakeDatabase(fails: (ids: readonly string[]) => string | undefined = () => undefined) {
  const batches: string[][] = [];
  const texts: string[] = [];
  const held: (() => void)[] = [];
  const control = { isHolding: false, isFound: (_id: string) => true, fails };
  const running = { now: 0, most: 0 };
  const run = async (text: string, ids: readonly string[]): Promise<SqlResult<unknown>> => {
    running.now += 1;
    running.most = Math.max(running.most, running.now);
    if (control.isHolding) {
      await new Promise<void>((resolve) => {
        held.push(resolve);
      });
    }
    running.now -= 1;
    const code = control.fails(ids);
    if (code !== undefined) throw Object.assign(new Error("secret row"), { code });
    texts.push(text);
    batches.push([...ids]);
    const rows = ids.flatMap((id, index) => (control.isFound(id) ? [{ place: index + 1 }] : []));
    return { rows, affected: rows.length };
  };
  const query: SqlQuery = <Row>(text: string, parameters: readonly unknown[] = []) => {
    if (text.includes("pg_attribute")) return Promise.resolve({ rows: [], affected: 0 });
    // Ids of these tests need no escapes.
    const literal = (parameters[0] ?? "{}") as string;
    const ids = JSON.parse(`[${literal.slice(1, -1)}]`) as string[];
    return run(text, ids) as Promise<SqlResult<Row>>;
  };
  return {
    query,
    control,
    batches,
    texts,
    running,
    written: () => batches.flat(),
    answer: () => held.shift()?.(),
  };
}

function rig(
  options: Partial<RecordWriterOptions> = {},
  fails?: (ids: readonly string[]) => string | undefined,
) {
  const clock = new FakeClock();
  const db = fakeDatabase(fails);
  const problems: RecordProblem[] = [];
  const writer = recordWriter(db, {
    clock,
    random: () => 0.5,
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  const send = (from: number, count: number): void => {
    for (let id = from; id < from + count; id += 1) writer.sink(outcome(id));
  };
  return { clock, db, writer, problems, send };
}

/** What a serverless host does with what it is given. */
function serverless() {
  const held: Promise<void>[] = [];
  let settled = 0;
  const hold = (written: Promise<void>): void => {
    held.push(written);
    void written.then(() => (settled += 1));
  };
  return { held, hold, settled: () => settled };
}

const refuse = (): never => {
  throw new Error("no");
};

const ids = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => String(from + index));

describe("recordWriter", () => {
  test("rows wait 200 ms for others and go in one statement", async () => {
    const { clock, db, writer, send } = rig();
    send(0, 3);
    await clock.advanceAsync(199);
    expect(db.batches).toEqual([]);
    expect(writer.pending()).toBe(3);
    await clock.advanceAsync(1);
    expect(db.batches).toEqual([["0", "1", "2"]]);
    expect(writer.pending()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test("200 rows do not wait, and the request that brings the last does not write them", async () => {
    const { clock, db, send } = rig();
    send(0, 450);
    expect(db.batches).toEqual([]);
    await clock.advanceAsync(0);
    expect(db.batches.map((batch) => batch.length)).toEqual([200, 200, 50]);
  });

  test("what a shadow ran is not written, and is not lost either", async () => {
    const { clock, db, writer } = rig();
    writer.sink(outcome("mirror", { shadow: true }));
    writer.sink(outcome("answered"));
    await clock.advanceAsync(200);
    expect(db.written()).toEqual(["answered"]);
    expect([writer.pending(), writer.dropped()]).toEqual([0, 0]);
  });

  test("what is no outcome is not written", async () => {
    const { clock, db, writer } = rig();
    writer.sink({ v: 4, at_ms: 0, feature: "demo", event: "disabled_noop", reason: "x" as never });
    expect(clock.pendingTimers).toBe(0);
    await writer.flush();
    expect(db.batches).toEqual([]);
  });

  test("one statement runs at a time, and rows that come meanwhile follow", async () => {
    const { clock, db, send } = rig({ batchRows: 2 });
    db.control.isHolding = true;
    send(0, 2);
    await clock.advanceAsync(0);
    send(2, 3);
    await clock.advanceAsync(1_000);
    expect(db.batches).toEqual([]);
    db.answer();
    await clock.advanceAsync(0);
    db.answer();
    await clock.advanceAsync(199);
    expect(db.batches).toEqual([
      ["0", "1"],
      ["2", "3"],
    ]);
    await clock.advanceAsync(1);
    db.answer();
    await clock.advanceAsync(0);
    expect(db.batches[2]).toEqual(["4"]);
  });

  test("the oldest rows are dropped for newer ones, counted, and told once", async () => {
    const { clock, db, writer, problems, send } = rig({ capacity: 5, batchRows: 2 });
    send(0, 8);
    expect([writer.dropped(), writer.pending()]).toEqual([3, 5]);
    await clock.advanceAsync(0);
    expect(db.written()).toEqual(ids(3, 5));
    send(8, 8);
    await clock.advanceAsync(0);
    expect(problems).toMatchObject([{ state: "dropping", dropped: 3 }]);
    await clock.advanceAsync(10_000);
    send(16, 1);
    await clock.advanceAsync(200);
    expect(problems.map((problem) => problem.state)).toEqual(["dropping", "written"]);
  });

  test("a row that was overwritten while its statement ran is lost only if that fails", async () => {
    const { clock, db, writer, send } = rig({ capacity: 4, batchRows: 2 });
    db.control.isHolding = true;
    send(0, 2);
    await clock.advanceAsync(0);
    send(2, 4);
    expect(writer.dropped()).toBe(0);
    db.control.isHolding = false;
    db.answer();
    await clock.advanceAsync(0);
    expect([db.written(), writer.dropped()]).toEqual([ids(0, 6), 0]);

    db.control.isHolding = true;
    send(6, 2);
    await clock.advanceAsync(0);
    send(8, 4);
    db.control.isHolding = false;
    db.control.fails = () => "57P01";
    db.answer();
    await clock.advanceAsync(0);
    db.control.fails = () => undefined;
    await clock.advanceAsync(100);
    expect([db.written(), writer.dropped()]).toEqual([[...ids(0, 6), ...ids(8, 4)], 2]);
  });

  test("rows stay while the database is away; it is asked ever more rarely and told of once", async () => {
    let asked = 0;
    let isAway = true;
    const { clock, db, writer, problems, send } = rig({}, () => {
      asked += 1;
      return isAway ? "ECONNREFUSED" : undefined;
    });
    send(0, 300);
    await clock.advanceAsync(60_000);
    expect(asked).toBeLessThan(20);
    expect(writer.pending()).toBe(300);
    send(300, 300);
    isAway = false;
    await clock.advanceAsync(5_000);
    expect(db.written()).toEqual(ids(0, 600));
    expect(db.texts[0]).toContain("NOT EXISTS");
    expect(db.texts[1]).not.toContain("NOT EXISTS");
    expect(problems).toEqual([
      { state: "away", code: "ECONNREFUSED", pending: 300, dropped: 0 },
      { state: "written", pending: 400, dropped: 0 },
    ]);
  });

  test("the tries of many processes are spread by half either way", async () => {
    for (const [random, firstMs] of [
      [0, 50],
      [0.999_999, 150],
    ] as const) {
      const triesAtMs: number[] = [];
      const { clock, send, db } = rig({ random: () => random });
      db.control.fails = () => {
        triesAtMs.push(clock.monotonicMs());
        return "ECONNREFUSED";
      };
      send(0, 200);
      await clock.advanceAsync(120_000);
      const waits = triesAtMs.slice(1).map((atMs, index) => atMs - (triesAtMs[index] ?? 0));
      expect(waits[0]).toBeCloseTo(firstMs, 1);
      expect(waits.at(-1)).toBeCloseTo(firstMs * 50, 1);
    }
  });

  test("rows whose answer was lost stay in doubt while a later row is refused", async () => {
    const { clock, db, writer, send } = rig();
    // Carried out, and the answer was lost.
    send(0, 150);
    db.control.fails = () => "08006";
    await clock.advanceAsync(200);
    // Row 180 is refused, so those before it go in smaller statements.
    db.control.fails = (batch) => (batch.includes("180") ? "23514" : undefined);
    send(150, 50);
    await clock.advanceAsync(5_000);
    expect(db.written()).toEqual(ids(0, 200).filter((id) => id !== "180"));
    for (const [index, batch] of db.batches.entries()) {
      const isInDoubt = Number(batch[0]) < 150;
      expect(db.texts[index]?.includes("NOT EXISTS")).toBe(isInDoubt);
    }
    expect(writer.dropped()).toBe(1);
  });

  test("a bad row costs itself alone, and is told without its text", async () => {
    const { clock, db, writer, problems, send } = rig({}, (batch) =>
      batch.includes("77") || batch.includes("150") ? "23514" : undefined,
    );
    send(0, 200);
    await clock.advanceAsync(0);
    expect(db.written()).toEqual(ids(0, 200).filter((id) => id !== "77" && id !== "150"));
    expect(db.batches.length).toBeLessThan(30);
    expect(writer.dropped()).toBe(2);
    expect(problems.map(({ state, code }) => [state, code])).toEqual([["refused", "23514"]]);
  });

  test("a table that refuses every row is asked ever more rarely; rows wait, and all is told once", async () => {
    let asked = 0;
    let isRefusing = true;
    const { clock, db, writer, problems, send } = rig({}, () => {
      asked += 1;
      return isRefusing ? "23502" : undefined;
    });
    send(0, 2_000);
    await clock.advanceAsync(60_000);
    expect(asked).toBeLessThan(40);
    expect(writer.dropped()).toBeLessThan(30);
    expect(writer.pending()).toBe(2_000 - writer.dropped());
    isRefusing = false;
    await clock.advanceAsync(7_500);
    expect(db.written()).toHaveLength(2_000 - writer.dropped());
    expect(new Set(db.written()).size).toBe(db.written().length);
    expect(db.batches.map((batch) => batch.length).slice(0, 4)).toEqual([1, 200, 200, 200]);
    expect([writer.pending(), clock.pendingTimers]).toEqual([0, 0]);
    expect(problems.map(({ state, code }) => [state, code])).toEqual([
      ["refused", "23502"],
      ["refusing", "23502"],
      ["written", undefined],
    ]);
  });

  test("rows that come one by one are not each tried in a table that refuses all", async () => {
    let asked = 0;
    const { clock, writer, send } = rig({}, () => {
      asked += 1;
      return "P0001";
    });
    for (let id = 0; id < 100; id += 1) {
      send(id, 1);
      await clock.advanceAsync(1_000);
    }
    expect(asked).toBeLessThan(40);
    expect(writer.dropped()).toBe(asked);
    expect(writer.pending()).toBe(100 - asked);
  });

  test("the last row that a table refuses leaves no timer, and the next one waits its time", async () => {
    const triesAtMs: number[] = [];
    const { clock, writer, send } = rig({}, () => {
      triesAtMs.push(clock.monotonicMs());
      return "23502";
    });
    send(0, 5);
    await clock.advanceAsync(200);
    expect([writer.pending(), clock.pendingTimers]).toEqual([0, 0]);
    const tried = triesAtMs.length;
    send(5, 1);
    await clock.advanceAsync(99);
    expect(triesAtMs).toHaveLength(tried);
    await clock.advanceAsync(1);
    expect(triesAtMs.slice(tried)).toEqual([300]);
  });

  test("the tries of a table that refuses are spread by half either way", async () => {
    for (const [random, longestMs] of [
      [0, 2_500],
      [0.999_999, 7_500],
    ] as const) {
      const triesAtMs: number[] = [];
      const { clock, db, send } = rig({ random: () => random });
      db.control.fails = () => {
        triesAtMs.push(clock.monotonicMs());
        return "23502";
      };
      send(0, 200);
      await clock.advanceAsync(120_000);
      const [before = 0, last = 0] = triesAtMs.slice(-2);
      expect(last - before).toBeCloseTo(longestMs, 1);
    }
  });

  test("a long run of bad rows is taken for a table that refuses, and passed in few rounds", async () => {
    let asked = 0;
    const { clock, db, writer, send } = rig({}, (batch) => {
      asked += 1;
      return batch.some((id) => Number(id) < 500) ? "23514" : undefined;
    });
    send(0, 1_000);
    await clock.advanceAsync(10_000);
    expect(
      db
        .written()
        .map(Number)
        .toSorted((a, b) => a - b),
    ).toEqual(ids(500, 500).map(Number));
    expect(writer.dropped()).toBe(500);
    expect(asked).toBeLessThan(600);
  });

  test("a database that goes away while its table refuses is told as that, and rows wait on", async () => {
    const { clock, db, writer, problems, send } = rig({}, () => "23502");
    send(0, 300);
    await clock.advanceAsync(1_000);
    const { length } = problems;
    const waiting = writer.pending();
    db.control.fails = () => "ECONNREFUSED";
    await clock.advanceAsync(20_000);
    expect(writer.pending()).toBe(waiting);
    db.control.fails = () => undefined;
    await clock.advanceAsync(7_500);
    expect(db.written()).toHaveLength(waiting);
    expect(db.texts[0]).toContain("NOT EXISTS");
    expect(problems.slice(length).map(({ state }) => state)).toEqual(["away", "written"]);
  });

  test("what a refusing table leaves waiting is bounded, and close gives it up at its deadline", async () => {
    const { clock, writer, send } = rig({ capacity: 100 }, () => "23502");
    for (let from = 0; from < 1_000; from += 50) {
      send(from, 50);
      await clock.advanceAsync(1_000);
      expect(writer.pending()).toBeLessThanOrEqual(100);
    }
    const closing = writer.close();
    await clock.advanceAsync(4_999);
    expect(writer.pending()).toBeGreaterThan(0);
    await clock.advanceAsync(1);
    await closing;
    expect([writer.pending(), writer.dropped(), clock.pendingTimers]).toEqual([0, 1_000, 0]);
  });

  test("in mode fill a record without a row of the product's does not show that the table takes one", async () => {
    let asked = 0;
    const { clock, db, problems, send } = rig({ mode: "fill" }, (batch) => {
      asked += 1;
      return batch.some((id) => Number(id) % 2 === 0) ? "P0001" : undefined;
    });
    db.control.isFound = () => false;
    send(0, 200);
    await clock.advanceAsync(20_000);
    expect(asked).toBeLessThan(40);
    expect(problems.at(-1)).toMatchObject({ state: "refusing" });
  });

  test("flush resolves when what was pending at the call is acknowledged", async () => {
    const { clock, db, writer, send } = rig();
    db.control.isHolding = true;
    send(0, 1);
    let isFlushed = false;
    const flushed = writer.flush().then(() => {
      isFlushed = true;
      return undefined;
    });
    send(1, 1);
    await clock.advanceAsync(0);
    expect(isFlushed).toBe(false);
    db.answer();
    await flushed;
    expect(db.written()).toEqual(["0"]);
    expect(writer.pending()).toBe(1);
  });

  test("close writes what is pending, takes nothing more, and leaves no timer", async () => {
    const { clock, db, writer, send } = rig();
    send(0, 250);
    await writer.close();
    await writer.close();
    send(250, 1);
    expect(db.written()).toEqual(ids(0, 250));
    expect(writer.dropped()).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  test("close gives up at its deadline and counts what is left", async () => {
    const { clock, writer, send } = rig({}, () => "57P03");
    send(0, 3);
    await clock.advanceAsync(1_000);
    const closing = writer.close();
    await clock.advanceAsync(4_999);
    expect(writer.pending()).toBe(3);
    await clock.advanceAsync(1);
    await closing;
    expect([writer.pending(), writer.dropped(), clock.pendingTimers]).toEqual([0, 3, 0]);
  });

  test("close does not wait for an answer that never comes", async () => {
    const { clock, db, writer, send } = rig();
    db.control.isHolding = true;
    send(0, 1);
    const closing = writer.close();
    await clock.advanceAsync(5_000);
    await closing;
    expect(writer.dropped()).toBe(1);
    db.answer();
    await clock.advanceAsync(10_000);
    expect([writer.dropped(), clock.pendingTimers]).toEqual([1, 0]);
  });

  test("a serverless host is given a promise that settles when nothing waits, and another for later rows", async () => {
    const { held, settled, hold } = serverless();
    const { clock, db, writer, send } = rig({ waitUntil: hold });
    expect(held).toHaveLength(0);
    send(0, 3);
    expect(held).toHaveLength(1);
    db.control.isHolding = true;
    await clock.advanceAsync(200);
    send(3, 2);
    db.answer();
    await clock.advanceAsync(199);
    expect([settled(), writer.pending()]).toEqual([0, 2]);
    await clock.advanceAsync(1);
    db.answer();
    await clock.advanceAsync(0);
    expect([settled(), writer.pending(), held.length]).toEqual([1, 0, 1]);
    expect(db.written()).toEqual(ids(0, 5));

    send(5, 1);
    expect([held.length, settled()]).toEqual([2, 1]);
    db.control.isHolding = false;
    await clock.advanceAsync(200);
    expect([held.length, settled()]).toEqual([2, 2]);
  });

  test("a serverless host is held while the database is away, and let go when the rows are given up", async () => {
    const { held, settled, hold } = serverless();
    const { clock, writer, send } = rig({ waitUntil: hold }, () => "57P01");
    send(0, 1);
    await clock.advanceAsync(60_000);
    expect([held.length, settled()]).toEqual([1, 0]);
    const closing = writer.close();
    await clock.advanceAsync(5_000);
    await closing;
    expect([held.length, settled()]).toEqual([1, 1]);
  });

  test("a serverless host is held while a row waits for the product's", async () => {
    const { held, settled, hold } = serverless();
    const { clock, db, send } = rig({ mode: "fill", waitUntil: hold });
    db.control.isFound = () => false;
    send(0, 1);
    await clock.advanceAsync(2_000);
    expect([held.length, settled()]).toEqual([1, 0]);
    db.control.isFound = () => true;
    await clock.advanceAsync(1_200);
    expect([held.length, settled()]).toEqual([1, 1]);
  });

  test("a hook that throws changes nothing", async () => {
    const { clock, db, send } = rig({ waitUntil: refuse, onProblem: refuse, capacity: 1 });
    send(0, 2);
    await clock.advanceAsync(200);
    expect(db.written()).toEqual(["1"]);
  });

  test("in mode fill a row that comes a little later is found, and one that never comes is lost", async () => {
    const { clock, db, writer, send } = rig({ mode: "fill" });
    db.control.isFound = (id) => id === "0";
    send(0, 3);
    await clock.advanceAsync(200);
    expect([writer.pending(), writer.dropped()]).toEqual([2, 0]);
    db.control.isFound = (id) => id !== "2";
    await clock.advanceAsync(1_200);
    expect([writer.pending(), writer.dropped()]).toEqual([1, 0]);
    await clock.advanceAsync(10_000);
    expect([writer.pending(), writer.dropped(), clock.pendingTimers]).toEqual([0, 1, 0]);
  });

  test("in mode fill flush does not wait for the product's row, and pending counts the row", async () => {
    const { clock, db, writer, send } = rig({ mode: "fill" });
    db.control.isFound = (id) => id === "0";
    send(0, 2);
    await writer.flush();
    expect([db.written(), writer.pending(), writer.dropped()]).toEqual([["0", "1"], 1, 0]);
    await writer.flush();
    expect(db.written()).toEqual(["0", "1"]);
    db.control.isFound = () => true;
    await clock.advanceAsync(1_200);
    expect([writer.pending(), writer.dropped(), clock.pendingTimers]).toEqual([0, 0, 0]);
  });

  test("every row is written once, in order but for a probe, or counted, whatever happens when", async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 12 }) }) },
      { weight: 4, arbitrary: fc.record({ pass: fc.integer({ min: 0, max: 6_000 }) }) },
      { weight: 2, arbitrary: fc.record({ refuse: fc.boolean() }) },
      { weight: 2, arbitrary: fc.constant({ answer: true }) },
      fc.record({ away: fc.boolean() }),
      fc.record({ hold: fc.boolean() }),
      fc.constant({ flush: true }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40, size: "max" }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 5 }),
        async (steps, capacity, batchRows) => {
          let isAway = false;
          let isRefusing = false;
          const { clock, db, writer, problems, send } = rig({ capacity, batchRows }, (batch) => {
            if (isAway) return "08006";
            if (isRefusing) return "23502";
            return batch.some((id) => id.endsWith("7")) ? "22001" : undefined;
          });
          let sent = 0;
          for (const next of steps) {
            if ("send" in next) {
              send(sent, next.send);
              sent += next.send;
            } else if ("pass" in next) await clock.advanceAsync(next.pass);
            else if ("away" in next) isAway = next.away;
            else if ("refuse" in next) isRefusing = next.refuse;
            else if ("hold" in next) db.control.isHolding = next.hold;
            else if ("answer" in next) db.answer();
            else void writer.flush();
            expect(writer.pending()).toBeLessThanOrEqual(capacity);
          }
          isAway = false;
          isRefusing = false;
          db.control.isHolding = false;
          db.answer();
          await clock.advanceAsync(60_000);
          await writer.flush();
          const numbers = db.written().map(Number);
          const inOrder = numbers.toSorted((a, b) => a - b);
          // Only a table that refuses all is asked with the newest first.
          const hasProbed = problems.some(({ state }) => state === "refusing");
          expect(hasProbed ? inOrder : numbers).toEqual(inOrder);
          expect(new Set(numbers).size).toBe(numbers.length);
          expect(numbers.length + writer.dropped()).toBe(sent);
          expect([writer.pending(), clock.pendingTimers]).toEqual([0, 0]);
          expect(db.running.most).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 500 },
    );
  });
});

test.each([
  [{ capacity: 0 }, "recordWriter.capacity: got 0, expected at least 1"],
  [{ capacity: 1.5 }, "recordWriter.capacity: got 1.5, expected a value of type int"],
  [{ capacity: 1e9 }, "recordWriter.capacity: got 1000000000, expected at most 1000000"],
  [{ batchRows: -1 }, "recordWriter.batchRows: got -1, expected at least 1"],
  [{ batchRows: 1e5 }, "recordWriter.batchRows: got 100000, expected at most 10000"],
  [{ batchMs: -1 }, "recordWriter.batchMs: got -1, expected at least 0"],
  [{ batchMs: "200" }, 'recordWriter.batchMs: got "200", expected a value of type number'],
  [{ closeMs: Number.NaN }, "recordWriter.closeMs: got NaN, expected a value of type number"],
  [{ closeMs: 3e9 }, "recordWriter.closeMs: got 3000000000, expected at most 2147000000"],
  [{ mode: "upsert" }, 'recordWriter.mode: got "upsert", expected one of "insert", "fill"'],
  [{ clock: Date }, "recordWriter.clock: got a function, expected a clock"],
  [{ clock: null }, "recordWriter.clock: got null, expected a clock"],
  [{ random: 0.5 }, "recordWriter.random: got 0.5, expected a function"],
  [{ onProblem: "log" }, 'recordWriter.onProblem: got "log", expected a function'],
  [{ waitUntil: true }, "recordWriter.waitUntil: got true, expected a function"],
  [
    { names: { prefx: "p_" } },
    "names.prefx: got an unknown option, expected only documented options",
  ],
  [
    { batch_rows: 5 },
    "recordWriter.batch_rows: got an unknown option, expected only documented options",
  ],
])("recordWriter refuses %j in one line", (given, line) => {
  let error: unknown;
  try {
    rig(given as Partial<RecordWriterOptions>);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).message).toBe(line);
});

const openers = {
  postgres: (connectionString: string): SqlDatabase => postgres({ connectionString }),
  pglite: (): SqlDatabase => pglite(),
};

describeOnDatabases("recordWriter", openers, (open) => {
  // One database for all of them, because PGlite takes seconds to start; each has its own tables in it.
  let db: SqlDatabase;
  let prefixes = 0;
  let prefix = "";
  let names = sqlNames();
  let table = "";
  beforeAll(async () => {
    db = await open();
  }, 60_000);
  beforeEach(() => {
    prefixes += 1;
    prefix = `p${prefixes}_`;
    names = sqlNames({ prefix });
    table = names.table("ai_training_examples");
  });
  const migrate = (): Promise<void> => db.exec(names.render(migration));
  const start = (
    options: Partial<RecordWriterOptions> = {},
    over: Pick<SqlDatabase, "query"> = db,
  ) => {
    const problems: RecordProblem[] = [];
    const clock = new FakeClock();
    const writer = recordWriter(over, {
      clock,
      random: () => 0.5,
      names: { prefix },
      onProblem: (problem) => problems.push(problem),
      ...options,
    });
    return { clock, writer, problems };
  };
  const all = async (): Promise<readonly Record<string, unknown>[]> =>
    (await db.query(`SELECT to_jsonb(t) AS row FROM ${table} AS t ORDER BY request_id`)).rows.map(
      ({ row }) => row as Record<string, unknown>,
    );

  test("a full outcome and a bare one are rows with every column of theirs", async () => {
    await migrate();
    const { writer } = start();
    writer.sink(
      outcome("a", {
        requested_provider: "x",
        selected_provider: 'y"{},\\NULL',
        route_strategy: "weighted",
        fallback_provider: "NULL",
        fallback_used: true,
        prompt_template_version: "v 1",
        failure_code: "OUTPUT_NOT_JSON",
        outcome: "STUBBED",
        path: "stub",
        first_content_ms: 4.2,
        input_tokens: 1,
        output_tokens: 2,
        cost_nano_usd: Number.MAX_SAFE_INTEGER,
        measures: { score: 1e-7, huge: 1e300, isKept: true, tone: "warm" },
      }),
    );
    writer.sink(outcome("b"));
    await writer.flush();
    const [full, bare] = await all();
    expect(full).toMatchObject({
      request_id: "a",
      requested_provider: "x",
      selected_provider: 'y"{},\\NULL',
      route_strategy: "weighted",
      fallback_provider: "NULL",
      fallback_used: true,
      latency_ms: 13,
      prompt_template_version: "v 1",
      feature: "demo",
      outcome: "STUBBED",
      failure_code: "OUTPUT_NOT_JSON",
      schema_valid: false,
      input_tokens: 1,
      output_tokens: 2,
      cost_nano_usd: Number.MAX_SAFE_INTEGER,
      first_content_ms: 4,
      metadata: { score: 1e-7, huge: 1e300, isKept: 1, "tone.warm": 1 },
    });
    expect(new Date(String(full?.["created_at"])).getTime()).toBe(Date.UTC(2026, 0, 1));
    expect(bare).toMatchObject({ selected_provider: null, schema_valid: true, metadata: null });
  });

  test("the migration may run twice, and no column of the table takes a body", async () => {
    await migrate();
    await migrate();
    const body = "word ".repeat(40);
    const { rows } = await db.query<{ name: string; type: string }>(
      `SELECT attname::text AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0`,
      [table],
    );
    expect(rows).toHaveLength(18);
    for (const { name } of rows.filter(({ type }) => type === "text")) {
      await expect(
        db.query(`INSERT INTO ${table} (${name}) VALUES ($1)`, [body]),
      ).rejects.toMatchObject({ code: "23514" });
    }
    for (const metadata of [
      body,
      [1],
      { a: body },
      { a: [1] },
      { a: { b: 1 } },
      { [body]: 1 },
      { a: true },
      Object.fromEntries(
        Array.from({ length: 400 }, (_, index) => [`a.word${index}_word_word`, 1]),
      ),
    ]) {
      await expect(
        db.query(`INSERT INTO ${table} (metadata) VALUES ($1::text::jsonb)`, [
          JSON.stringify(metadata),
        ]),
      ).rejects.toMatchObject({ code: "23514" });
    }
    expect(rows.filter(({ type }) => type === "jsonb")).toHaveLength(1);
    await db.query(`INSERT INTO ${table} (metadata) VALUES ('{"a":-1.5,"bC":2}'), ('{}'), (NULL)`);
  });

  test("the indexes stand under the names of the settings", async () => {
    await migrate();
    const { rows } = await db.query<{ definition: string }>(
      `SELECT indexdef AS definition FROM pg_indexes
       WHERE tablename = $1 ORDER BY indexname`,
      [`p${prefixes}_ai_training_examples`],
    );
    expect(
      rows.map(({ definition }) =>
        definition.replace(/^.* INDEX /, "").replaceAll(`p${prefixes}_`, "p_"),
      ),
    ).toEqual([
      "p_ai_training_examples_by_provider ON public.p_ai_training_examples USING btree (selected_provider, created_at DESC)",
      "p_ai_training_examples_by_request ON public.p_ai_training_examples USING btree (request_id)",
      "p_ai_training_examples_by_strategy ON public.p_ai_training_examples USING btree (route_strategy, created_at DESC)",
      "p_ai_training_examples_by_time ON public.p_ai_training_examples USING brin (created_at)",
    ]);
  });

  test("rows that the table refuses cost themselves only", async () => {
    await migrate();
    const { writer, problems } = start();
    for (let id = 0; id < 300; id += 1) writer.sink(outcome(id));
    writer.sink(outcome("z", { selected_provider: "p".repeat(129) }));
    writer.sink(outcome("with a NUL \0"));
    writer.sink(outcome("too slow", { latency_ms: 1e12 }));
    for (let id = 300; id < 500; id += 1) writer.sink(outcome(id));
    await writer.flush();
    expect(await all()).toHaveLength(500);
    expect(writer.dropped()).toBe(3);
    expect(problems).toHaveLength(1);
  });

  test("a table that refuses every row costs few statements, and gets what waited when it takes rows again", async () => {
    await db.exec(`CREATE TABLE ${table} (tenant text NOT NULL)`);
    await migrate();
    let inserts = 0;
    const query: SqlQuery = (text, parameters) => {
      if (text.startsWith("INSERT")) inserts += 1;
      return db.query(text, parameters);
    };
    const { clock, writer, problems } = start({}, { query });
    for (let id = 0; id < 2_000; id += 1) writer.sink(outcome(id));
    while (problems.at(-1)?.state !== "refusing") await clock.advanceAsync(10);
    const atOnce = writer.dropped();
    // More than a minute of tries.
    while (writer.dropped() < atOnce + 18) await clock.advanceAsync(10);
    expect(inserts).toBeLessThan(40);
    expect(writer.pending()).toBe(2_000 - writer.dropped());
    expect(await all()).toEqual([]);

    await db.exec(`ALTER TABLE ${table} ALTER COLUMN tenant DROP NOT NULL`);
    while (writer.pending() > 0) await clock.advanceAsync(10);
    expect(inserts).toBeLessThan(60);
    const written = new Set((await all()).map((row) => row["request_id"]));
    expect(written.size).toBe(2_000 - writer.dropped());
    expect(await all()).toHaveLength(written.size);
    expect(problems.map(({ state, code }) => [state, code])).toEqual([
      ["refused", "23502"],
      ["refusing", "23502"],
      ["written", undefined],
    ]);
  });

  test("a write whose answer was lost is not written twice", async () => {
    await migrate();
    const cut = { isDue: true };
    const query: SqlQuery = async <Row>(text: string, parameters?: readonly unknown[]) => {
      const result = await db.query<Row>(text, parameters);
      if (cut.isDue && text.startsWith("INSERT")) {
        cut.isDue = false;
        throw Object.assign(new Error("cut"), { code: "08006" });
      }
      return result;
    };
    const { clock, writer } = start({}, { query });
    for (let id = 0; id < 7; id += 1) writer.sink(outcome(id, { at_ms: 1_800_000_000_123.456 }));
    const flushed = writer.flush();
    while (cut.isDue) await clock.advanceAsync(0);
    await clock.advanceAsync(1);
    writer.sink(outcome(7));
    await clock.advanceAsync(5_000);
    await flushed;
    await writer.flush();
    expect(await all()).toHaveLength(8);
  });

  test("rows wait for a table that is not there yet", async () => {
    const { clock, writer, problems } = start();
    writer.sink(outcome("a"));
    const flushed = writer.flush();
    while (problems.length === 0) await clock.advanceAsync(0);
    await migrate();
    await clock.advanceAsync(5_000);
    await flushed;
    expect(await all()).toHaveLength(1);
    expect(problems).toMatchObject([{ state: "away", code: "42P01" }, { state: "written" }]);
  });

  test("a table of the product's gets our columns, and its rows are filled where they are null", async () => {
    await db.exec(`
      CREATE TABLE ${table} (
        id serial PRIMARY KEY,
        request_id uuid NOT NULL,
        prompt text NOT NULL,
        latency_ms double precision,
        selected_provider varchar(20) NOT NULL DEFAULT 'theirs',
        metadata jsonb NOT NULL DEFAULT '{"their":"own"}'
      );
      INSERT INTO ${table} (request_id, prompt) VALUES
        ('00000000-0000-4000-8000-000000000001', 'body'),
        ('00000000-0000-4000-8000-000000000002', 'body')`);
    await migrate();
    const { writer, problems } = start({ mode: "fill" });
    writer.sink(
      outcome("00000000-0000-4000-8000-000000000001", {
        selected_provider: "ours",
        requested_provider: "ours",
        measures: { a: 1 },
      }),
    );
    writer.sink(outcome("not-theirs"));
    await writer.flush();
    const [filled, other] = await all();
    expect(filled).toMatchObject({
      prompt: "body",
      latency_ms: 13,
      requested_provider: "ours",
      selected_provider: "theirs",
      feature: "demo",
      metadata: { their: "own", a: 1 },
    });
    expect(other).toMatchObject({ prompt: "body", latency_ms: null, feature: null });
    expect(await all()).toHaveLength(2);
    expect(problems).toMatchObject([{ state: "refused", code: "22P02" }]);
    await writer.close();
  });

  test.each(["jsonb", "json"])(
    "an object in a %s column of the product's gets our measures, and keeps its own",
    async (type) => {
      await db.exec(`
        CREATE TABLE ${table} (request_id text, metadata ${type});
        INSERT INTO ${table} VALUES
          ('empty', '{}'), ('list', '[1]'), ('null', NULL), ('own', '{"a":"own","b":{"c":[2]}}')`);
      await migrate();
      const { writer } = start({ mode: "fill" });
      for (const id of ["empty", "list", "null", "own"]) {
        writer.sink(outcome(id, { measures: { a: 1, z: 0.5 } }));
      }
      await writer.flush();
      expect((await all()).map((row) => row["metadata"])).toEqual([
        { a: 1, z: 0.5 },
        [1],
        { a: 1, z: 0.5 },
        { a: "own", b: { c: [2] }, z: 0.5 },
      ]);
      expect(writer.dropped()).toBe(0);
    },
  );

  test("where we have no measures, the product's metadata stays as it is", async () => {
    await db.exec(`
      CREATE TABLE ${table} (request_id text, metadata json NOT NULL DEFAULT '{ "a":1,  "a":2 }');
      INSERT INTO ${table} VALUES ('a')`);
    await migrate();
    const { writer } = start({ mode: "fill" });
    writer.sink(outcome("a"));
    await writer.flush();
    const { rows } = await db.query(`SELECT feature, metadata::text FROM ${table}`);
    expect(rows).toEqual([{ feature: "demo", metadata: '{ "a":1,  "a":2 }' }]);
  });

  test("a column for our measures that is no JSON is filled where it is null", async () => {
    await db.exec(`
      CREATE TABLE ${table} (request_id text, metadata text);
      INSERT INTO ${table} VALUES ('a', '{}'), ('b', NULL)`);
    await migrate();
    const { writer } = start({ mode: "fill" });
    for (const id of ["a", "b"]) writer.sink(outcome(id, { measures: { score: 1 } }));
    await writer.flush();
    expect((await all()).map((row) => row["metadata"])).toEqual(["{}", '{"score": 1}']);
  });
});
