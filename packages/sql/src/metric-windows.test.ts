import {
  type CheckSample,
  ConfigError,
  type MetricSample,
  type OutcomeSample,
  type ParityFigures,
  Reason,
} from "@sluice/contract";
import { describeOnDatabases, FakeClock } from "@sluice/testkit";
import * as fc from "fast-check";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { SqlDatabase, SqlQuery } from "./database.ts";
import { metricWindows, type MetricWindowsOptions } from "./metric-windows.ts";
import type { MetricWindowsProblem } from "./metric-window-writer.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";

const noon = Date.UTC(2026, 0, 1, 12);

function outcome(fields: Partial<OutcomeSample> = {}): OutcomeSample {
  return {
    kind: "outcome",
    feature: "demo",
    arm: "ai",
    provider: "openai",
    outcome: "SUCCEEDED",
    fallbackUsed: false,
    latencyMs: 100,
    admission: [],
    queueMs: [],
    measures: {},
    ...fields,
  };
}

const circuit = (isOpen: boolean, provider = "openai"): MetricSample => ({
  kind: "circuit",
  feature: "demo",
  provider,
  isOpen,
});

const check = (fields: Partial<CheckSample> = {}): CheckSample => ({
  kind: "check",
  feature: "demo",
  arm: "shadow",
  effect: "allow",
  admission: [],
  ...fields,
});

const parity = (figures: Partial<ParityFigures> = {}): MetricSample => ({
  kind: "parity",
  feature: "demo",
  arm: "shadow",
  figures: {
    legacyValid: true,
    mirrorValid: true,
    equal: {},
    lengthDifference: 0,
    latencyDifferenceMs: 0,
    similarity: 1,
    ...figures,
  },
});

type Row = Readonly<Record<string, unknown>> & {
  readonly outcomes: Readonly<Record<string, number>>;
  readonly circuit_open_ms: number;
};

/** Keeps rows as the table does: by their key, the last write stands. */
function fakeTable() {
  const rows = new Map<string, Row>();
  const control = {
    fails: (): string | undefined => undefined,
    loses: false,
    isHolding: false,
    statements: 0,
  };
  const held: (() => void)[] = [];
  const query: SqlQuery = async (_text: string, parameters: readonly unknown[] = []) => {
    control.statements += 1;
    const [json, startMs, instance, part] = parameters as [string, number, string, number];
    if (control.isHolding) {
      await new Promise<void>((resolve) => {
        held.push(resolve);
      });
    }
    const code = control.fails();
    if (code !== undefined && !control.loses) {
      throw Object.assign(new Error("secret row"), { code });
    }
    for (const row of JSON.parse(json) as Row[]) {
      const { feature, arm, provider } = row;
      const key = [(startMs - noon) / 1000, part, feature, arm, provider, instance].join(" ");
      rows.set(key, row);
    }
    if (code !== undefined) throw Object.assign(new Error("cut"), { code });
    return { rows: [], affected: 0 };
  };
  const outcomes = (): number =>
    [...rows.values()].flatMap((row) => Object.values(row.outcomes)).reduce((a, b) => a + b, 0);
  return { query, rows, control, outcomes, answer: () => held.shift()?.() };
}

function rig(options: Partial<MetricWindowsOptions> = {}) {
  const clock = new FakeClock({ wallMs: noon });
  const table = fakeTable();
  const problems: MetricWindowsProblem[] = [];
  const windows = metricWindows(table, {
    clock,
    random: () => 1,
    instanceId: "i",
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  return { clock, table, problems, windows };
}

const refuse = (): never => {
  throw new Error("no");
};

/** How often a database that is away is asked within two minutes. */
async function timesAsked(random: number): Promise<number> {
  const { clock, table, windows } = rig({ random: () => random });
  table.control.fails = () => "08006";
  windows.sink(outcome());
  await clock.advanceAsync(120_000);
  return table.control.statements;
}

describe("metricWindows", () => {
  test("a window is written once it is over, all its rows in one statement", async () => {
    const { clock, table, windows } = rig();
    windows.sink(outcome());
    windows.sink(outcome({ arm: "stub", provider: undefined, outcome: "STUBBED" }));
    await clock.advanceAsync(9_999);
    expect(table.control.statements).toBe(0);
    await clock.advanceAsync(1);
    expect([...table.rows.keys()]).toEqual(["0 0 demo ai openai i", "0 0 demo stub  i"]);
    expect(table.control.statements).toBe(1);
  });

  test("a sample at the edge is in the later window, without waiting for the timer", async () => {
    const { clock, table, windows } = rig();
    clock.stepWall(9_999.5);
    windows.sink(outcome());
    clock.stepWall(0.5);
    windows.sink(outcome());
    await windows.flush();
    expect([...table.rows.keys()]).toEqual(["0 0 demo ai openai i", "10 0 demo ai openai i"]);
  });

  test("while nothing happens nothing is written, and no timer keeps the process alive", async () => {
    const { clock, table, windows } = rig();
    await clock.advanceAsync(60_000);
    await windows.flush();
    expect(table.control.statements).toBe(0);
    await windows.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test("a response and an outcome of the same arm and provider share a row", async () => {
    const { table, windows } = rig();
    windows.sink(outcome());
    windows.sink({ kind: "response", feature: "demo", arm: "ai", provider: "openai", status: 200 });
    windows.sink({ kind: "response", feature: "demo", arm: "none", status: 401 });
    await windows.close();
    expect([...table.rows.values()]).toMatchObject([
      { outcomes: { SUCCEEDED: 1 }, http: { 200: 1 } },
      { arm: "none", provider: "", outcomes: {}, http: { 401: 1 } },
    ]);
  });

  test("what a shadow's gates would have said is among its outcomes, and counted once", async () => {
    const { table, windows } = rig();
    const admission = [
      { verdict: "would_reject", reason: Reason.MESSAGE_RATE },
      { verdict: "allow" },
    ] as const;
    windows.sink(check({ admission }));
    // The mirrored run of the same request.
    windows.sink(outcome({ arm: "shadow", admission, reason: Reason.MESSAGE_RATE }));
    windows.sink(check({ effect: "divert", reason: Reason.NOT_IN_ROLLOUT }));
    windows.sink(check({ effect: "reject", reason: Reason.USER_IN_FLIGHT }));
    await windows.close();
    expect([...table.rows.values()]).toMatchObject([
      {
        arm: "shadow",
        provider: "",
        outcomes: { WOULD_ALLOW: 1, WOULD_DIVERT: 1, WOULD_REJECT: 1 },
        reasons: { NOT_IN_ROLLOUT: 1, USER_IN_FLIGHT: 1 },
        admission: { "would_reject.MESSAGE_RATE": 1, allow: 1 },
      },
      { provider: "openai", outcomes: { SUCCEEDED: 1 }, admission: {}, reasons: {} },
    ]);
    expect(windows.dropped()).toBe(0);
  });

  test("a comparison is kept as measures of the shadow", async () => {
    const { table, windows } = rig();
    windows.sink(parity({ mirrorValid: false, equal: { intent: true }, lengthDifference: -4 }));
    windows.sink(parity({ equal: { intent: false }, latencyDifferenceMs: 50, similarity: 0 }));
    await windows.close();
    const [row] = table.rows.values();
    expect(row?.["measures"]).toMatchObject({
      parity_legacy_valid: { members: { true: 2 } },
      parity_mirror_valid: { members: { true: 1, false: 1 } },
      parity_equal_intent: { members: { true: 1, false: 1 } },
      parity_length_difference: { sum: -4, count: 2 },
      parity_latency_difference_ms: { sum: 50, count: 2 },
      parity_similarity: { sum: 1, count: 2 },
    });
  });

  test("the time to the first byte is a histogram beside the status", async () => {
    const { table, windows } = rig();
    const response = { kind: "response", feature: "demo", arm: "legacy", status: 200 } as const;
    windows.sink(response);
    windows.sink({ ...response, firstByteMs: 0 });
    windows.sink({ ...response, firstByteMs: Number.NaN });
    await windows.close();
    const [row] = table.rows.values();
    expect(row).toMatchObject({ arm: "legacy", http: { 200: 3 }, first_byte_ms: { z: 1 } });
    expect(windows.dropped()).toBe(1);
  });

  test("what was flushed in mid-window is written again, whole, when the window is over", async () => {
    const { clock, table, windows } = rig();
    windows.sink(outcome());
    await windows.flush();
    windows.sink(outcome());
    await clock.advanceAsync(10_000);
    expect([...table.rows.values()]).toMatchObject([{ outcomes: { SUCCEEDED: 2 } }]);
    expect(table.control.statements).toBe(2);
  });

  test("where the wall clock steps back, the part goes up and no earlier row is replaced", async () => {
    const { clock, table, windows } = rig();
    windows.sink(outcome());
    clock.stepWall(10_000);
    windows.sink(outcome());
    clock.stepWall(-10_000);
    windows.sink(outcome());
    clock.stepWall(3_600_000);
    windows.sink(outcome());
    clock.stepWall(-3_590_000);
    windows.sink(outcome());
    await windows.close();
    expect([...table.rows.keys()].map((key) => key.split(" ").slice(0, 2).join("/"))).toEqual([
      "0/0",
      "10/0",
      "0/1",
      "3600/1",
      "10/2",
    ]);
    expect(table.outcomes()).toBe(5);
  });

  test("a step back within the window that is open changes nothing", async () => {
    const { clock, table, windows } = rig();
    clock.stepWall(5_000);
    windows.sink(outcome());
    clock.stepWall(-4_000);
    windows.sink(outcome());
    await windows.close();
    expect([...table.rows.values()]).toMatchObject([{ outcomes: { SUCCEEDED: 2 } }]);
  });

  test("an open circuit is in each window that it covers, though no request comes", async () => {
    const { clock, table, windows } = rig();
    await clock.advanceAsync(4_000);
    windows.sink(circuit(true));
    await clock.advanceAsync(8_500);
    windows.sink(circuit(false));
    await clock.advanceAsync(30_000);
    const open = [...table.rows].map(([key, row]) => [key, row.circuit_open_ms]);
    expect(open).toEqual([
      ["0 0 demo ai openai i", 6_000],
      ["10 0 demo ai openai i", 2_500],
    ]);
  });

  test("a circuit told open twice is counted once, and one shut unseen leaves no row", async () => {
    const { clock, table, windows } = rig();
    windows.sink(circuit(true));
    windows.sink(circuit(true));
    windows.sink(circuit(false, "custom"));
    await clock.advanceAsync(1_000);
    await windows.close();
    expect([...table.rows.values()]).toMatchObject([{ circuit_open_ms: 1_000 }]);
  });

  test("the sleep of a machine and a step of an hour add no open time", async () => {
    const { clock, table, windows } = rig();
    windows.sink(circuit(true));
    await clock.advanceAsync(500);
    clock.sleepMachine(3_600_000);
    await clock.advanceAsync(500);
    clock.stepWall(-7_200_000);
    await clock.advanceAsync(500);
    await windows.close();
    const open = [...table.rows.values()].map((row) => row.circuit_open_ms);
    expect(open.reduce((a, b) => a + b, 0)).toBe(1_500);
  });

  test("a process that stood still for a day catches up no more windows than may wait", async () => {
    const { clock, table, windows } = rig({ maxPending: 5 });
    windows.sink(circuit(true));
    // No timer ran, as under SIGSTOP.
    const late = clock.monotonicMs() + 86_400_000;
    clock.monotonicMs = () => late;
    clock.stepWall(86_400_000);
    await windows.close();
    expect(table.rows.size).toBeLessThanOrEqual(5);
    expect([...table.rows.values()].every((row) => row.circuit_open_ms <= 10_000)).toBe(true);
  });

  test("a window has no more series than it may, and further samples are counted", async () => {
    const { clock, table, windows, problems } = rig({ maxSeries: 2 });
    for (let n = 0; n < 5; n += 1) windows.sink(outcome({ provider: `p${n}` }));
    windows.sink(outcome({ provider: "p0" }));
    await clock.advanceAsync(10_000);
    expect([table.rows.size, table.outcomes(), windows.dropped()]).toEqual([2, 3, 3]);
    for (let n = 0; n < 5; n += 1) windows.sink(outcome({ provider: `p${n}` }));
    await clock.advanceAsync(10_000);
    expect(problems).toEqual([{ state: "dropping", pending: 0, dropped: 3 }]);
    await clock.advanceAsync(70_000);
    expect(problems.map(({ state }) => state)).toEqual(["dropping", "written"]);
  });

  test("circuits are remembered up to the same number", async () => {
    const { clock, table, windows } = rig({ maxSeries: 2 });
    for (let n = 0; n < 4; n += 1) windows.sink(circuit(true, `p${n}`));
    expect(windows.dropped()).toBe(2);
    windows.sink(circuit(false, "p0"));
    windows.sink(circuit(true, "p3"));
    await clock.advanceAsync(10_000);
    expect([...table.rows.values()].map((row) => row["provider"])).toEqual(["p1", "p3"]);
  });

  test.each<[string, MetricSample]>([
    ["a status under 100", { kind: "response", feature: "demo", arm: "ai", status: 99 }],
    ["a status over 599", { kind: "response", feature: "demo", arm: "ai", status: 600 }],
    [
      "a status that is no integer",
      { kind: "response", feature: "demo", arm: "ai", status: 200.5 },
    ],
    ["a feature that is no name", outcome({ feature: "Tell me a story" })],
    ["an arm that is none", outcome({ arm: "Tell me a story" as never })],
    ["a provider of two lines", outcome({ provider: "a\nb" })],
    ["a provider that is too long", outcome({ provider: "p".repeat(129) })],
    ["a circuit of no provider", circuit(true, "")],
    ["a check that says nothing known", check({ effect: "Tell me a story" as never })],
    ["a field of a comparison that is no name", parity({ equal: { "Tell me a story": true } })],
  ])("%s is dropped and counted", async (_what, sample) => {
    const { table, windows } = rig();
    windows.sink(sample);
    await windows.close();
    expect([windows.dropped(), JSON.stringify([...table.rows.values()])]).toEqual([
      1,
      expect.not.stringMatching(/story|demo.*(99|600|200)/),
    ]);
  });

  test("values that are none are dropped one by one, and the rest of the sample counts", async () => {
    const { table, windows } = rig();
    windows.sink(
      outcome({
        code: "what the model said" as never,
        reason: "because" as never,
        latencyMs: Number.NaN,
        queueMs: [Infinity, 5],
        inputTokens: Number.NaN,
        admission: [{ verdict: "sure" as never }, { verdict: "allow" }],
        measures: {
          "what the user said": 1,
          tone: "what the user said",
          score: Number.NaN,
          isKept: true,
        },
      }),
    );
    await windows.close();
    expect(windows.dropped()).toBe(8);
    const [row] = table.rows.values();
    expect(row).toMatchObject({ outcomes: { SUCCEEDED: 1 }, admission: { allow: 1 } });
    expect(row).toMatchObject({ measures: { isKept: { members: { true: 1 } } }, failures: {} });
    expect(JSON.stringify(row)).not.toContain("said");
  });

  test("a row has at most 32 measures of at most 64 members", async () => {
    const { table, windows } = rig();
    for (let n = 0; n < 40; n += 1) windows.sink(outcome({ measures: { [`m${n}`]: n } }));
    for (let n = 0; n < 70; n += 1) windows.sink(outcome({ measures: { m0: `member${n}` } }));
    await windows.close();
    expect(windows.dropped()).toBe(8 + 6);
    const [row] = table.rows.values();
    const measures = row?.["measures"] as Record<string, { readonly members: object }>;
    expect(Object.keys(measures)).toHaveLength(32);
    expect(Object.keys(measures["m0"]?.members ?? {})).toHaveLength(64);
  });

  test("sums stay numbers that JSON and a bigint hold", async () => {
    const { table, windows } = rig();
    for (let n = 0; n < 3; n += 1) {
      windows.sink(outcome({ costNanoUsd: 2 ** 53, measures: { huge: Number.MAX_VALUE } }));
    }
    await windows.close();
    expect([...table.rows.values()]).toMatchObject([
      {
        cost_nano_usd: Number.MAX_SAFE_INTEGER,
        measures: { huge: { sum: Number.MAX_VALUE, count: 3 } },
      },
    ]);
  });

  test("windows wait while the database is away; it is asked ever more rarely and told of once", async () => {
    const { clock, table, windows, problems } = rig();
    table.control.fails = () => "ECONNREFUSED";
    for (let n = 0; n < 20; n += 1) {
      windows.sink(outcome());
      await clock.advanceAsync(10_000);
    }
    expect(table.control.statements).toBeLessThan(12);
    table.control.fails = () => undefined;
    await clock.advanceAsync(31_000);
    expect([table.outcomes(), windows.dropped()]).toEqual([20, 0]);
    expect(problems).toEqual([
      { state: "away", code: "ECONNREFUSED", pending: 1, dropped: 0 },
      { state: "written", pending: 19, dropped: 0 },
    ]);
  });

  test("retries are spread by chance", async () => {
    expect(await timesAsked(0)).toBeGreaterThan(await timesAsked(1));
  });

  test("the oldest window goes when too many wait, with its samples counted", async () => {
    const { clock, table, windows, problems } = rig({ maxPending: 3 });
    table.control.fails = () => "08006";
    for (let n = 0; n < 6; n += 1) {
      windows.sink(outcome());
      windows.sink(outcome());
      await clock.advanceAsync(10_000);
    }
    expect(windows.dropped()).toBe(6);
    table.control.fails = () => undefined;
    await clock.advanceAsync(60_000);
    expect([...table.rows.keys()].map((key) => key.split(" ")[0])).toEqual(["30", "40", "50"]);
    expect(problems.map(({ state }) => state)).toEqual(["away", "written", "dropping"]);
  });

  test("of a window that was flushed before it went, only what came later counts as lost", async () => {
    const { clock, table, windows } = rig({ maxPending: 1 });
    windows.sink(outcome());
    windows.sink(outcome());
    await windows.flush();
    table.control.fails = () => "08006";
    windows.sink(outcome());
    await clock.advanceAsync(10_000);
    windows.sink(outcome());
    await clock.advanceAsync(10_000);
    expect([table.outcomes(), windows.dropped()]).toEqual([2, 1]);
  });

  test("a window whose answer was lost is written again and counted once", async () => {
    const { clock, table, windows } = rig();
    table.control.fails = () => "08006";
    table.control.loses = true;
    windows.sink(outcome());
    await clock.advanceAsync(10_000);
    expect(table.outcomes()).toBe(1);
    table.control.fails = () => undefined;
    await clock.advanceAsync(5_000);
    expect([table.control.statements, table.outcomes(), windows.dropped()]).toEqual([2, 1, 0]);
  });

  test("a window that the table refuses costs itself alone, and is told without its text", async () => {
    const { clock, table, windows, problems } = rig();
    table.control.fails = () => "23514";
    windows.sink(outcome());
    await clock.advanceAsync(10_000);
    table.control.fails = () => undefined;
    windows.sink(outcome());
    await clock.advanceAsync(10_000);
    expect([table.outcomes(), windows.dropped()]).toEqual([1, 1]);
    expect(problems).toEqual([{ state: "refused", code: "23514", pending: 0, dropped: 1 }]);
  });

  test("close writes the window that is not over, takes nothing more, and leaves no timer", async () => {
    const { clock, table, windows } = rig();
    windows.sink(outcome());
    clock.stepWall(10_000);
    windows.sink(outcome());
    await windows.close();
    await windows.close();
    windows.sink(outcome());
    expect([table.outcomes(), windows.dropped(), clock.pendingTimers]).toEqual([2, 1, 0]);
  });

  test("close gives up at its deadline and counts what is left", async () => {
    const { clock, table, windows } = rig();
    table.control.fails = () => "57P03";
    windows.sink(outcome());
    const closing = windows.close();
    await clock.advanceAsync(4_999);
    expect(windows.dropped()).toBe(0);
    await clock.advanceAsync(1);
    await closing;
    expect([windows.dropped(), clock.pendingTimers]).toEqual([1, 0]);
  });

  test("close does not wait for an answer that never comes", async () => {
    const { clock, table, windows } = rig();
    table.control.isHolding = true;
    windows.sink(outcome());
    const closing = windows.close();
    await clock.advanceAsync(5_000);
    await closing;
    table.answer();
    await clock.advanceAsync(60_000);
    expect([windows.dropped(), clock.pendingTimers]).toEqual([1, 0]);
  });

  test("a serverless host is given one promise until nothing waits, within about a second", async () => {
    const held: Promise<void>[] = [];
    const { clock, table, windows } = rig({ waitUntil: (written) => held.push(written) });
    windows.sink(outcome());
    windows.sink(outcome());
    expect(held).toHaveLength(1);
    await clock.advanceAsync(1_000);
    await held[0];
    expect(table.outcomes()).toBe(2);
    windows.sink(outcome());
    expect(held).toHaveLength(2);
    await clock.advanceAsync(1_000);
    await held[1];
    expect([table.rows.size, table.outcomes()]).toEqual([1, 3]);
  });

  test("a serverless host is not released for what came while an earlier write was under way", async () => {
    const held: Promise<void>[] = [];
    const released = vi.fn<() => void>();
    const { clock, table, windows } = rig({ waitUntil: (written) => held.push(written) });
    windows.sink(outcome());
    void held[0]?.then(released);
    table.control.isHolding = true;
    await clock.advanceAsync(1_000);
    windows.sink(outcome());
    table.control.isHolding = false;
    table.answer();
    await clock.advanceAsync(500);
    expect([held.length, released.mock.calls.length, table.outcomes()]).toEqual([1, 0, 1]);
    await clock.advanceAsync(500);
    expect([held.length, released.mock.calls.length, table.outcomes()]).toEqual([1, 1, 2]);
  });

  test("a hook that throws changes nothing", async () => {
    const { clock, table, windows } = rig({ waitUntil: refuse, onProblem: refuse, maxSeries: 1 });
    windows.sink(outcome());
    windows.sink(outcome({ provider: "other" }));
    await clock.advanceAsync(10_000);
    expect(table.outcomes()).toBe(1);
  });

  test.each([
    ["instanceId", { instanceId: "" }],
    ["instanceId", { instanceId: "a\nb" }],
    ["maxSeries", { maxSeries: 0 }],
    ["maxPending", { maxPending: 1.5 }],
    ["closeMs", { closeMs: 0 }],
    ["windowMs", { windowMs: 5_000 }],
    ["prefix", { names: { prefix: "A" } }],
  ])("a wrong %s is refused: %j", (option, options) => {
    let error: unknown;
    try {
      rig(options as Partial<MetricWindowsOptions>);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toContain(option);
  });

  test("every sample is in one row or counted as dropped, whatever happens when", async () => {
    const step = fc.oneof(
      fc.record({ send: fc.integer({ min: 1, max: 4 }), provider: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ pass: fc.integer({ min: 0, max: 25_000 }) }),
      fc.record({ stepWall: fc.integer({ min: -30_000, max: 30_000 }) }),
      fc.record({ away: fc.boolean(), loses: fc.boolean() }),
      fc.record({ hold: fc.boolean() }),
      fc.constant({ answer: true }),
      fc.constant({ flush: true }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, maxPending) => {
          let isAway = false;
          const { clock, table, windows } = rig({ maxPending, maxSeries: 3 });
          table.control.fails = () => (isAway ? "08006" : undefined);
          let sent = 0;
          for (const next of steps) {
            if ("send" in next) {
              for (let n = 0; n < next.send; n += 1) {
                windows.sink(outcome({ provider: `p${next.provider}` }));
              }
              sent += next.send;
            } else if ("pass" in next) await clock.advanceAsync(next.pass);
            else if ("stepWall" in next) clock.stepWall(next.stepWall);
            else if ("away" in next) {
              isAway = next.away;
              table.control.loses = next.loses;
            } else if ("hold" in next) table.control.isHolding = next.hold;
            else if ("answer" in next) table.answer();
            else void windows.flush();
          }
          // An answer that was lost counts as dropped at most where the window went before its retry.
          const mayBeBoth = windows.dropped() > 0 && steps.some((next) => "loses" in next);
          isAway = false;
          table.control.isHolding = false;
          table.answer();
          await clock.advanceAsync(40_000);
          await windows.close();
          const counted = table.outcomes() + windows.dropped();
          expect(mayBeBoth ? Math.max(counted, sent) : sent).toBe(counted);
          expect(table.outcomes()).toBeLessThanOrEqual(sent);
          expect(clock.pendingTimers).toBe(0);
        },
      ),
    );
  });
});

describeOnDatabases(
  "metricWindows",
  { postgres: (connectionString) => postgres({ connectionString }), pglite: () => pglite() },
  (open) => {
    const waiting = { timeout: 20_000, interval: 5 };
    let db: SqlDatabase;
    beforeAll(async () => {
      db = await open();
      await migrate(db);
    }, 60_000);
    beforeEach(() => db.exec("TRUNCATE metric_windows"));

    const rows = async (): Promise<readonly unknown[]> =>
      (
        await db.query(
          `SELECT extract(epoch FROM window_start - to_timestamp($1::float8 / 1000))::integer AS at,
             part, arm, provider, outcomes, http, circuit_open_ms AS open_ms
           FROM metric_windows ORDER BY window_start, part, arm, provider`,
          [noon],
        )
      ).rows;
    const until = (expected: readonly object[]): Promise<void> =>
      vi.waitFor(async () => expect(await rows()).toMatchObject(expected), waiting);
    function run() {
      const clock = new FakeClock({ wallMs: noon });
      const problems: MetricWindowsProblem[] = [];
      const windows = metricWindows(db, {
        clock,
        random: () => 1,
        instanceId: "i",
        onProblem: (problem) => problems.push(problem),
      });
      onTestFinished(() => windows.close());
      return { clock, windows, problems };
    }

    test("a window is written once it is over, and again whole where it was flushed before", async () => {
      const { clock, windows, problems } = run();
      windows.sink(outcome());
      windows.sink({
        kind: "response",
        feature: "demo",
        arm: "ai",
        provider: "openai",
        status: 200,
      });
      windows.sink(circuit(true));
      await windows.flush();
      expect(await rows()).toMatchObject([{ at: 0, outcomes: { SUCCEEDED: 1 }, http: { 200: 1 } }]);
      windows.sink(outcome());
      windows.sink(outcome({ arm: "stub", provider: undefined, outcome: "STUBBED" }));
      clock.advance(10_000);
      await until([
        { at: 0, part: 0, arm: "ai", provider: "openai", outcomes: { SUCCEEDED: 2 } },
        { at: 0, part: 0, arm: "stub", provider: "", outcomes: { STUBBED: 1 } },
      ]);
      await windows.close();
      expect(windows.dropped()).toBe(0);
      expect(problems).toEqual([]);
    });

    test("where the wall clock steps back, earlier rows stay", async () => {
      const { clock, windows } = run();
      windows.sink(outcome());
      clock.stepWall(10_000);
      windows.sink(outcome());
      clock.stepWall(-10_000);
      windows.sink(outcome());
      await windows.close();
      expect(await rows()).toMatchObject([
        { at: 0, part: 0 },
        { at: 0, part: 1 },
        { at: 10, part: 0 },
      ]);
    });

    test("windows wait while the table is away, and all of them are written after that", async () => {
      const { clock, windows, problems } = run();
      await db.exec("ALTER TABLE metric_windows RENAME TO elsewhere");
      windows.sink(outcome());
      clock.advance(10_000);
      await vi.waitFor(
        () => expect(problems).toMatchObject([{ state: "away", code: "42P01" }]),
        waiting,
      );
      windows.sink(outcome());
      clock.advance(10_000);
      await db.exec("ALTER TABLE elsewhere RENAME TO metric_windows");
      await windows.flush();
      expect(await rows()).toMatchObject([{ at: 0 }, { at: 10 }]);
      expect(windows.dropped()).toBe(0);
    });

    test("a window that the table turns down is lost and told, and the next one is written", async () => {
      const { clock, windows, problems } = run();
      await db.exec("ALTER TABLE metric_windows ADD CONSTRAINT own CHECK (provider <> 'unwanted')");
      onTestFinished(() => db.exec("ALTER TABLE metric_windows DROP CONSTRAINT own"));
      windows.sink(outcome({ provider: "unwanted" }));
      clock.advance(10_000);
      await vi.waitFor(
        () => expect(problems).toMatchObject([{ state: "refused", code: "23514" }]),
        waiting,
      );
      windows.sink(outcome());
      await windows.flush();
      expect(await rows()).toMatchObject([{ at: 10 }]);
      expect(windows.dropped()).toBe(1);
    });
  },
);
