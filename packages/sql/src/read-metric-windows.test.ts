import {
  type CheckSample,
  ConfigError,
  FailureCode,
  type MetricArm,
  metricArms,
  type MetricSample,
  type OutcomeSample,
  type ParityFigures,
  type ParitySample,
  Reason,
  type ResponseSample,
} from "@sluice/contract";
import {
  addToHistogram,
  emptyLogHistogram,
  histogramQuantile,
  type LogHistogram,
} from "@sluice/policy";
import { describeOnDatabases, FakeClock } from "@sluice/testkit";
import * as fc from "fast-check";
import { beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { SqlDatabase, SqlQuery } from "./database.ts";
import { metricWindows } from "./metric-windows.ts";
import type { MetricTotals } from "./metric-totals.ts";
import { migrate } from "./migrate.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { readMetricWindows, type ReadMetricWindowsOptions } from "./read-metric-windows.ts";

// PGlite starts slowly where many tests run at once.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const openers = {
  postgres: (connectionString: string): SqlDatabase => postgres({ connectionString }),
  pglite: (): SqlDatabase => pglite(),
};

const noon = Date.UTC(2026, 0, 1, 12);
const names = { schema: "ai", prefix: "p3_" };
const table = "ai.p3_metric_windows";

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

const sharedFields = {
  feature: fc.constant("demo"),
  arm: fc.constantFrom(...metricArms),
  provider: fc.constantFrom(undefined, "openai", 'a "provider" {of} ours'),
};
const anyMs = fc.double({ min: 0, max: 60_000, noNaN: true });
const maybe = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.option(value, { nil: undefined });
const anyAdmission = fc.array(
  fc.record({
    verdict: fc.constantFrom("allow", "reject", "would_reject", "indeterminate"),
    reason: maybe(fc.constantFrom(Reason.USER_IN_FLIGHT, Reason.MESSAGE_RATE)),
  }),
  { maxLength: 4 },
);
const anyOutcome: fc.Arbitrary<OutcomeSample> = fc.record({
  ...sharedFields,
  kind: fc.constant("outcome"),
  outcome: fc.constantFrom("SUCCEEDED", "STUBBED", "FAILED", "REJECTED"),
  reason: maybe(fc.constantFrom(...Object.values(Reason))),
  code: maybe(fc.constantFrom(...Object.values(FailureCode))),
  fallbackUsed: fc.boolean(),
  latencyMs: anyMs,
  firstContentMs: maybe(anyMs),
  admission: anyAdmission,
  queueMs: fc.array(anyMs, { maxLength: 3 }),
  inputTokens: maybe(fc.nat()),
  outputTokens: maybe(fc.nat()),
  costNanoUsd: maybe(fc.nat()),
  measures: fc.record(
    {
      score: fc.integer({ min: -1_000_000, max: 1_000_000 }),
      isKept: fc.boolean(),
      tone: fc.constantFrom("warm", "cold", "count", "histogram", "__proto__"),
      mixed: fc.oneof(fc.boolean(), fc.integer()),
    },
    { requiredKeys: [] },
  ),
});
const anyResponse: fc.Arbitrary<ResponseSample> = fc.record({
  ...sharedFields,
  kind: fc.constant("response"),
  status: fc.integer({ min: 100, max: 599 }),
  firstByteMs: maybe(anyMs),
});
const ofShadow = { feature: fc.constant("demo"), arm: fc.constant("shadow" as const) };
const anyCheck: fc.Arbitrary<CheckSample> = fc.record({
  ...ofShadow,
  kind: fc.constant("check"),
  effect: fc.constantFrom("allow", "divert", "reject"),
  reason: maybe(fc.constantFrom(...Object.values(Reason))),
  admission: anyAdmission,
});
const anyParity: fc.Arbitrary<ParitySample> = fc.record({
  ...ofShadow,
  kind: fc.constant("parity"),
  figures: fc.record<ParityFigures>({
    legacyValid: fc.boolean(),
    mirrorValid: fc.boolean(),
    equal: fc.record({ intent: fc.boolean(), tone: fc.boolean() }, { requiredKeys: [] }),
    lengthDifference: fc.integer({ min: -5_000, max: 5_000 }),
    latencyDifferenceMs: fc.integer({ min: -60_000, max: 60_000 }),
    similarity: fc.constantFrom(0, 0.25, 0.5, 1),
  }),
});
const anyCircuit = fc.record({
  kind: fc.constant("circuit" as const),
  feature: fc.constant("demo"),
  provider: fc.constantFrom("openai", "custom"),
  isOpen: fc.boolean(),
});

const tally = <Key>(keys: readonly (Key | undefined)[]): Map<Key, number> => {
  const counts = new Map<Key, number>();
  for (const key of keys) if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
};

const histogram = (values: readonly (number | undefined)[]): LogHistogram => {
  const made = emptyLogHistogram();
  for (const value of values) if (value !== undefined) addToHistogram(made, value);
  return made;
};

const sum = (values: readonly (number | undefined)[]): number =>
  values.reduce<number>((total, value) => total + (value ?? 0), 0);

const measureOf = (values: readonly (number | boolean | string)[]) => {
  const numbers = values.filter((value) => typeof value === "number");
  return {
    sum: sum(numbers),
    count: numbers.length,
    histogram: histogram(numbers),
    members: tally(values.filter((value) => typeof value !== "number").map(String)),
  };
};

const yesNo = (values: readonly boolean[]) => ({
  yes: values.filter(Boolean).length,
  no: values.filter((value) => !value).length,
});

function naiveParity(all: readonly ParityFigures[]) {
  const fields = new Set(all.flatMap(({ equal }) => Object.keys(equal)));
  return {
    legacyValid: yesNo(all.map((figures) => figures.legacyValid)),
    mirrorValid: yesNo(all.map((figures) => figures.mirrorValid)),
    equal: new Map(
      [...fields].map((field) => [
        field,
        yesNo(all.map(({ equal }) => equal[field]).filter((value) => value !== undefined)),
      ]),
    ),
    lengthDifference: measureOf(all.map((figures) => figures.lengthDifference)),
    latencyDifferenceMs: measureOf(all.map((figures) => figures.latencyDifferenceMs)),
    similarity: measureOf(all.map((figures) => figures.similarity)),
  };
}

/** The same figures, from a list of samples and nothing clever. */
function naiveTotals(arm: MetricArm, provider: string, samples: readonly MetricSample[]) {
  const of = samples.filter((sample) => {
    if (sample.kind === "circuit") return false;
    const own = "provider" in sample ? sample.provider : undefined;
    return sample.arm === arm && (own ?? "") === provider;
  });
  const ends = of.filter((sample) => sample.kind === "outcome");
  const responses = of.filter((sample) => sample.kind === "response");
  const checks = of.filter((sample) => sample.kind === "check");
  const compared = of.filter((sample) => sample.kind === "parity").map(({ figures }) => figures);
  const judged = arm === "shadow" ? checks : ends;
  const measured = new Map<string, (number | boolean | string)[]>();
  for (const { measures } of ends) {
    for (const [name, value] of Object.entries(measures)) {
      measured.set(name, [...(measured.get(name) ?? []), value]);
    }
  }
  return {
    arm,
    provider,
    outcomes: tally(ends.map((sample) => sample.outcome)),
    checks: tally(checks.map((sample) => sample.effect)),
    failures: tally(ends.map((sample) => sample.code)),
    reasons: tally(judged.map((sample) => sample.reason)),
    admission: tally(
      judged.flatMap((sample) =>
        sample.admission.map(({ verdict, reason }) => [verdict, reason ?? []].flat().join(".")),
      ),
    ),
    http: tally(responses.map((sample) => sample.status)),
    latencyMs: histogram(ends.map((sample) => sample.latencyMs)),
    firstContentMs: histogram(ends.map((sample) => sample.firstContentMs)),
    firstByteMs: histogram(responses.map((sample) => sample.firstByteMs)),
    queueMs: histogram(ends.flatMap((sample) => sample.queueMs)),
    fallbacks: ends.filter((sample) => sample.fallbackUsed).length,
    inputTokens: sum(ends.map((sample) => sample.inputTokens)),
    outputTokens: sum(ends.map((sample) => sample.outputTokens)),
    costNanoUsd: sum(ends.map((sample) => sample.costNanoUsd)),
    measures: new Map([...measured].map(([name, values]) => [name, measureOf(values)])),
    ...(compared.length > 0 && { parity: naiveParity(compared) }),
  };
}

/** Lets time pass until it is done, so that what was turned down is tried again. */
async function until(clock: FakeClock, done: Promise<void>): Promise<void> {
  const state = { isDone: false };
  const settled = done.then(() => {
    state.isDone = true;
    return undefined;
  });
  while (!state.isDone) await clock.advanceAsync(1);
  await settled;
}

const countOf = (totals: readonly MetricTotals[]): number =>
  sum(totals.flatMap(({ outcomes }) => [...outcomes.values()]));

describeOnDatabases("metric windows", openers, (open) => {
  let db: SqlDatabase;
  beforeAll(async () => {
    db = await open();
    await migrate(db, { names });
  });
  beforeEach(async () => {
    await db.query(`TRUNCATE ${table}`);
  });

  const start = (instanceId = "i", over: Pick<SqlDatabase, "query"> = db) => {
    const clock = new FakeClock({ wallMs: noon });
    const options = { clock, random: () => 0.5, instanceId, names, closeMs: 2_000_000_000 };
    return { clock, windows: metricWindows(over, options) };
  };
  const read = (
    options: Partial<ReadMetricWindowsOptions> = {},
  ): Promise<readonly MetricTotals[]> =>
    readMetricWindows(db, {
      feature: "demo",
      from: new Date(noon - 86_400_000),
      to: new Date(noon + 86_400_000),
      names,
      ...options,
    });
  const keysOf = async (options: Partial<ReadMetricWindowsOptions>): Promise<readonly string[]> =>
    (await read(options)).map(({ arm, provider }) => `${arm} ${provider}`);

  test("what is read is what came: in each window, and in total, over two processes", async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          sample: fc.oneof(anyOutcome, anyResponse, anyCircuit, anyCheck, anyParity),
        }),
      },
      { weight: 2, arbitrary: fc.record({ pass: fc.integer({ min: 0, max: 15_000 }) }) },
      { weight: 1, arbitrary: fc.constant({ flush: true }) },
    );
    const process = fc.array(step, { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(process, process, async (...processes) => {
        await db.query(`TRUNCATE ${table}`);
        const came = new Map<number, MetricSample[]>();
        const openMs = new Map<string, number>();
        for (const [index, steps] of processes.entries()) {
          const { clock, windows } = start(`i${index}`);
          const openProviders = new Set<string>();
          for (const next of steps) {
            const startMs = Math.floor(clock.wallMs() / 10_000) * 10_000;
            if ("sample" in next) {
              windows.sink(next.sample);
              came.set(startMs, [...(came.get(startMs) ?? []), next.sample]);
              if (next.sample.kind !== "circuit") continue;
              if (next.sample.isOpen) openProviders.add(next.sample.provider);
              else openProviders.delete(next.sample.provider);
            } else if ("pass" in next) {
              const endMs = clock.wallMs() + next.pass;
              for (let ms = clock.wallMs(); ms < endMs; ) {
                const at = Math.floor(ms / 10_000) * 10_000;
                const toMs = Math.min(at + 10_000, endMs);
                for (const provider of openProviders) {
                  const key = `${at} ${provider}`;
                  openMs.set(key, (openMs.get(key) ?? 0) + toMs - ms);
                }
                ms = toMs;
              }
              await clock.advanceAsync(next.pass);
            } else {
              await windows.flush();
            }
          }
          await windows.close();
          expect(windows.dropped()).toBe(0);
        }
        for (const totals of await read({ by: "window" })) {
          const { windowStart, circuitOpenMs, ...figures } = totals;
          const startMs = windowStart?.getTime() ?? Number.NaN;
          const { arm, provider } = totals;
          expect(figures).toEqual(naiveTotals(arm, provider, came.get(startMs) ?? []));
          const expected = arm === "ai" ? (openMs.get(`${startMs} ${provider}`) ?? 0) : 0;
          expect(circuitOpenMs).toBeCloseTo(expected, 6);
        }
        const all = [...came.values()].flat();
        const total = await read();
        for (const { circuitOpenMs: _, ...figures } of total) {
          expect(figures).toEqual(naiveTotals(figures.arm, figures.provider, all));
        }
        expect(countOf(total)).toBe(all.filter(({ kind }) => kind === "outcome").length);
        const statuses = total.flatMap(({ http }) => [...http.values()]);
        expect(sum(statuses)).toBe(all.filter(({ kind }) => kind === "response").length);
        const openTotal = sum(total.map(({ circuitOpenMs }) => circuitOpenMs));
        expect(openTotal).toBeCloseTo(sum([...openMs.values()]), 6);
      }),
      { numRuns: 50 },
    );
  });

  test("over steps of the clock, lost answers and times away, each sample is counted once", async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 2, arbitrary: fc.record({ pass: fc.integer({ min: 0, max: 15_000 }) }) },
      { weight: 2, arbitrary: fc.record({ stepWall: fc.integer({ min: -40_000, max: 40_000 }) }) },
      { weight: 2, arbitrary: fc.record({ fault: fc.constantFrom("none", "away", "lost") }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        await db.query(`TRUNCATE ${table}`);
        let fault = "none";
        const query: SqlQuery = async <Row>(text: string, parameters?: readonly unknown[]) => {
          if (fault === "away") throw Object.assign(new Error("gone"), { code: "08006" });
          const isLost = fault === "lost";
          const result = await db.query<Row>(text, parameters);
          if (isLost) throw Object.assign(new Error("cut"), { code: "08006" });
          return result;
        };
        const { clock, windows } = start("i", { query });
        let sent = 0;
        for (const next of steps) {
          if ("send" in next) {
            for (let n = 0; n < next.send; n += 1) windows.sink(outcome());
            sent += next.send;
          } else if ("pass" in next) await clock.advanceAsync(next.pass);
          else if ("stepWall" in next) clock.stepWall(next.stepWall);
          else fault = next.fault;
        }
        fault = "none";
        await until(clock, windows.close());
        expect([countOf(await read()), windows.dropped()]).toEqual([sent, 0]);
      }),
      { numRuns: 50 },
    );
  });

  test("two processes that step back into one window add up", async () => {
    for (const instance of ["a", "b"]) {
      const { clock, windows } = start(instance);
      windows.sink(outcome());
      clock.stepWall(10_000);
      windows.sink(outcome());
      clock.stepWall(-10_000);
      windows.sink(outcome({ latencyMs: 900 }));
      await windows.close();
    }
    const [first, second, ...others] = await read({ by: "window" });
    expect([first, second].map((totals) => totals?.windowStart?.getTime())).toEqual([
      noon,
      noon + 10_000,
    ]);
    expect([first, second].map((totals) => totals?.outcomes.get("SUCCEEDED"))).toEqual([4, 2]);
    expect(others).toEqual([]);
    const { rows } = await db.query(`SELECT count(*)::int AS n, max(part)::int AS p FROM ${table}`);
    expect(rows).toEqual([{ n: 6, p: 1 }]);
  });

  test("what is asked for is a range of time, an arm, a provider", async () => {
    const { clock, windows } = start();
    windows.sink(outcome());
    windows.sink(outcome({ feature: "other" }));
    windows.sink(outcome({ arm: "stub", provider: undefined, outcome: "STUBBED" }));
    clock.stepWall(10_000);
    windows.sink(outcome({ provider: "custom" }));
    await windows.close();
    expect(await keysOf({})).toEqual(["ai custom", "ai openai", "stub "]);
    expect(await keysOf({ to: new Date(noon + 10_000) })).toEqual(["ai openai", "stub "]);
    expect(await keysOf({ from: new Date(noon + 1) })).toEqual(["ai custom"]);
    expect(await keysOf({ arm: "ai" })).toEqual(["ai custom", "ai openai"]);
    expect(await keysOf({ provider: "" })).toEqual(["stub "]);
    expect(await keysOf({ feature: "none" })).toEqual([]);
  });

  test("a quantile is asked of what was merged", async () => {
    for (let process = 0; process < 4; process += 1) {
      const { windows } = start(`i${process}`);
      for (let n = 0; n < 250; n += 1) windows.sink(outcome({ latencyMs: process * 250 + n + 1 }));
      await windows.close();
    }
    const [totals] = await read();
    const p95 = histogramQuantile(totals?.latencyMs ?? emptyLogHistogram(), 0.95) ?? 0;
    expect(Math.abs(p95 - 950.05)).toBeLessThanOrEqual(9.5005);
  });

  test("a process that was killed loses the windows that it had not written, and no others", async () => {
    const killed = start("killed");
    killed.windows.sink(outcome());
    await killed.clock.advanceAsync(10_000);
    await killed.windows.flush();
    killed.windows.sink(outcome());
    const living = start("living");
    living.clock.stepWall(10_000);
    living.windows.sink(outcome());
    await living.windows.close();
    const totals = await read({ by: "window" });
    expect(totals.map(({ outcomes }) => outcomes.get("SUCCEEDED"))).toEqual([1, 1]);
  });

  test("figures wait for a table that is not there yet", async () => {
    const { clock, windows } = start();
    await db.query(`ALTER TABLE ${table} RENAME TO hidden`);
    windows.sink(outcome());
    const flushed = windows.flush();
    await clock.advanceAsync(2_000);
    await db.query("ALTER TABLE ai.hidden RENAME TO p3_metric_windows");
    await until(clock, flushed);
    expect(countOf(await read())).toBe(1);
  });

  test("the fullest row that a process can make is taken", async () => {
    const { windows } = start();
    for (let size = 1e-9; size < 1.5e15; size *= 1.03) {
      for (const value of [size, -size]) {
        windows.sink(outcome({ latencyMs: value, queueMs: [value], measures: { m0: value } }));
      }
    }
    const fullest = (n: number, member: string): MetricSample =>
      outcome({
        provider: "p".repeat(128),
        inputTokens: Number.MAX_SAFE_INTEGER,
        outputTokens: Number.MAX_SAFE_INTEGER,
        costNanoUsd: Number.MAX_SAFE_INTEGER,
        measures: { [`m${n}`.padEnd(63, "_")]: member },
      });
    for (let n = 0; n < 32; n += 1) {
      for (let k = 0; k < 64; k += 1) windows.sink(fullest(n, `${k}`.padEnd(64, "-")));
    }
    windows.sink(outcome({ provider: "p".repeat(128), measures: { another: 1 } }));
    for (const huge of [Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324, 1e-300]) {
      windows.sink(outcome({ measures: { huge } }));
    }
    for (let status = 100; status < 600; status += 1) {
      windows.sink({ kind: "response", feature: "demo", arm: "ai", provider: "openai", status });
    }
    const fields = Array.from({ length: 16 }, (_, n) => `f${n}`.padEnd(41, "_"));
    const figures = {
      legacyValid: true,
      mirrorValid: true,
      equal: Object.fromEntries(fields.map((field) => [field, true])),
      lengthDifference: 1e9,
      latencyDifferenceMs: -1e9,
      similarity: 0.5,
    };
    windows.sink({ kind: "parity", feature: "demo", arm: "shadow", figures });
    await windows.close();
    // The measure beyond 32.
    expect(windows.dropped()).toBe(1);
    const [, , shadow, ...others] = await read();
    expect(others).toEqual([]);
    expect([...(shadow?.parity?.equal.keys() ?? [])].toSorted()).toEqual(fields.toSorted());
  });

  const counts = ["outcomes", "failures", "reasons", "admission", "http"];
  const histograms = ["latency_ms", "first_content_ms", "first_byte_ms", "queue_ms"];
  const body = "Tell me a story of a fox";
  const insert = (column: string, value: unknown): Promise<unknown> =>
    db.query(
      `INSERT INTO ${table} (window_start, feature, arm, instance_id, ${column})
       VALUES (to_timestamp($1::float8 / 1000), 'demo', 'ai', 'i', $2::text::jsonb)`,
      [noon, JSON.stringify(value)],
    );

  test.each<[string, unknown]>([
    ...[...counts, ...histograms].flatMap((column): [string, unknown][] => [
      [column, { [body]: 1 }],
      [column, { "": 1 }],
      [column, { p1: body }],
      [column, { z: { p1: 1 } }],
      [column, [1]],
      [column, body],
    ]),
    ["outcomes", { SUCCEEDED: -1 }],
    ["http", { 600: 1 }],
    ["latency_ms", { p12345: 1 }],
    ["measures", { [body]: {} }],
    ["measures", { tone: { members: { [body]: 1 } } }],
    ["measures", { tone: { members: { [`a${"b".repeat(64)}`]: 1 } } }],
    ["measures", { tone: { members: body } }],
    ["measures", { tone: { [body]: 1 } }],
    ["measures", { score: { sum: body } }],
    ["measures", { score: { sum: 1, count: 1, histogram: { [body]: 1 } } }],
    ["measures", { score: body }],
    ["measures", body],
  ])("the column %s takes no body: %j", async (column, value) => {
    await expect(insert(column, value)).rejects.toMatchObject({ code: "23514" });
  });

  test.each([
    ["feature", "'Tell me'"],
    ["arm", "'Tell me'"],
    ["provider", "repeat('p', 129)"],
    ["provider", "E'a\\nb'"],
    ["instance_id", "''"],
    ["window_start", "'2026-01-01T00:00:05Z'"],
    ["part", "-1"],
  ])("the column %s takes no %s", async (column, value) => {
    const own: Record<string, string> = {
      window_start: "'2026-01-01T00:00:10Z'",
      feature: "'demo'",
      arm: "'ai'",
      instance_id: "'i'",
      [column]: value,
    };
    const text = `INSERT INTO ${table} (${Object.keys(own).join(", ")})
      VALUES (${Object.values(own).join(", ")})`;
    await expect(db.query(text)).rejects.toMatchObject({ code: "23514" });
  });

  test("every column is of a known type, so that a new one is looked at", async () => {
    const { rows } = await db.query<{ type: string; columns: string }>(
      `SELECT format_type(atttypid, NULL) AS type,
         string_agg(attname::text, ' ' ORDER BY attname::text COLLATE "C") AS columns
       FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 GROUP BY 1`,
    );
    const types = new Map(rows.map(({ type, columns }) => [type, columns]));
    expect(types.get("text")).toBe("arm feature instance_id provider");
    expect(types.get("jsonb")?.split(" ")).toEqual(
      [...counts, ...histograms, "measures"].toSorted(),
    );
  });

  test.each([
    ["from", { from: new Date(Number.NaN) }],
    ["arm", { arm: "other" }],
    ["by", { by: "day" }],
    ["prefix", { names: { prefix: "A" } }],
  ])("a wrong %s is refused", async (option, options) => {
    const error: unknown = await read(options as Partial<ReadMetricWindowsOptions>).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toContain(option);
  });
});
