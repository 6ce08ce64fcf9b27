import {
  type MetricSample,
  type OutcomeSample,
  type ParityFigures,
  Reason,
} from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import { metricWindows, migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { FakeClock, postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured } from "../run-captured.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const ofShadow = { feature: "chat_gateway", arm: "shadow" } as const;

const check = (
  effect: "allow" | "divert" | "reject",
  reason?: Reason,
  ...wouldReject: readonly Reason[]
): MetricSample => ({
  ...ofShadow,
  kind: "check",
  effect,
  reason,
  admission:
    effect === "divert"
      ? []
      : [
          ...wouldReject.map((refused) => ({ verdict: "would_reject", reason: refused }) as const),
          effect === "allow" ? { verdict: "allow" } : { verdict: "reject", reason },
        ],
});

const mirrored = (fields: Partial<OutcomeSample> = {}): MetricSample => ({
  ...ofShadow,
  kind: "outcome",
  provider: "openai",
  outcome: "SUCCEEDED",
  fallbackUsed: false,
  latencyMs: 900,
  admission: [],
  queueMs: [],
  measures: {},
  ...fields,
});

const compared = (figures: Partial<ParityFigures> = {}): MetricSample => ({
  ...ofShadow,
  kind: "parity",
  figures: {
    legacyValid: true,
    mirrorValid: true,
    equal: { intent: true },
    lengthDifference: 10,
    latencyDifferenceMs: 250,
    similarity: 0.9,
    ...figures,
  },
});

const times = (count: number, sample: MetricSample): readonly MetricSample[] =>
  Array.from({ length: count }, () => sample);

describe.skipIf(skipped)("shadow report", { timeout: 60_000 }, () => {
  let server: TestPostgres;
  let db: SqlDatabase;

  beforeAll(async () => {
    server = postgresForTests();
    db = postgres({ connectionString: server.connectionString });
    await migrate(db);
  }, 60_000);
  beforeEach(() => db.exec("TRUNCATE metric_windows"));
  afterAll(async () => {
    await db.close();
    server.drop();
  });

  /** As a process counted them so long ago. */
  const counted = async (samples: readonly MetricSample[], agoMs = 60_000): Promise<void> => {
    const clock = new FakeClock({ wallMs: systemClock.wallMs() - agoMs });
    const instanceId = `ago ${String(agoMs)}`;
    const windows = metricWindows(db, { clock, random: () => 0.5, instanceId });
    for (const sample of samples) windows.sink(sample);
    await windows.close();
    expect(windows.dropped()).toBe(0);
  };
  const report = (...more: readonly string[]): Promise<Captured> =>
    runCaptured(["shadow", "report", "--feature", "chat_gateway", ...more], {
      env: { DATABASE_URL: server.connectionString },
    });
  const reported = async (...more: readonly string[]): Promise<unknown> => {
    const { code, out, err } = await report("--json", ...more);
    expect({ code, err }).toEqual({ code: exitCodes.done, err: "" });
    return JSON.parse(out);
  };

  it("tells what the gates would have said, how mirrored calls went, and how the answers compare", async () => {
    await counted([
      ...times(80, check("allow")),
      ...times(10, check("allow", undefined, Reason.MESSAGE_RATE, Reason.USER_IN_FLIGHT)),
      ...times(6, check("divert", Reason.NOT_IN_ROLLOUT)),
      ...times(3, check("reject", Reason.MESSAGE_RATE)),
      {
        ...ofShadow,
        kind: "check",
        effect: "reject",
        reason: Reason.STORE_UNAVAILABLE,
        admission: [{ verdict: "indeterminate", reason: Reason.STORE_UNAVAILABLE }],
      },
      ...times(18, mirrored()),
      ...times(2, mirrored({ outcome: "FAILED", code: "PROVIDER_TIMEOUT" })),
      ...times(17, compared()),
      ...times(3, compared({ mirrorValid: false, equal: { intent: false }, similarity: 0.2 })),
    ]);
    // Of another arm.
    await counted(times(5, mirrored({ arm: "ai" })), 30_000);
    expect(await reported()).toMatchObject({
      feature: "chat_gateway",
      promoteAt: 0.95,
      requests: 100,
      effects: {
        allow: { count: 90, share: 0.9 },
        divert: { count: 6, share: 0.06 },
        reject: { count: 4, share: 0.04 },
      },
      reasons: [
        { name: "NOT_IN_ROLLOUT", count: 6, share: 0.06 },
        { name: "MESSAGE_RATE", count: 3, share: 0.03 },
        { name: "STORE_UNAVAILABLE", count: 1, share: 0.01 },
      ],
      admission: {
        asked: 94,
        wouldBlock: [
          // Wilson's interval of 13 in 94, and of 10.
          { name: "MESSAGE_RATE", count: 13, of: 94, low: 0.0826, high: 0.2226 },
          { name: "USER_IN_FLIGHT", count: 10, of: 94, low: 0.0588, high: 0.1851 },
        ].map(({ low, high, ...exact }) => ({
          ...exact,
          rate: exact.count / 94,
          low: expect.closeTo(low, 3) as number,
          high: expect.closeTo(high, 3) as number,
        })),
        indeterminate: [{ name: "STORE_UNAVAILABLE", count: 1, share: 1 / 94 }],
      },
      mirror: {
        runs: 20,
        outcomes: [
          { name: "SUCCEEDED", count: 18, share: 0.9 },
          { name: "FAILED", count: 2, share: 0.1 },
        ],
        failures: [{ name: "PROVIDER_TIMEOUT", count: 2, share: 0.1 }],
      },
      parity: {
        comparisons: 20,
        legacyValid: { count: 20, of: 20, rate: 1, high: 1 },
        mirrorValid: { count: 17, of: 20, rate: 0.85 },
        fields: [{ field: "intent", count: 17, of: 20, rate: 0.85, needed: "never" }],
        needed: "never",
        lengthDifference: { samples: 20, p50: expect.closeTo(10, 0) as number },
        latencyDifferenceMs: { samples: 20, p95: expect.closeTo(250, -1) as number },
        similarity: {
          p10: expect.closeTo(0.2, 2) as number,
          p50: expect.closeTo(0.9, 1) as number,
        },
      },
    });
  });

  const needed = async (...more: readonly string[]): Promise<readonly unknown[]> => {
    const { parity } = (await reported(...more)) as {
      parity: { needed: unknown; fields: readonly { field: string; needed: unknown }[] };
    };
    return [parity.needed, ...parity.fields.map(({ field, needed: own }) => [field, own])];
  };

  it("counts what each field still needs for the target, the most of them to promote", async () => {
    await counted([
      ...times(73, compared({ equal: { intent: true } })),
      ...times(10, compared({ equal: { tone: true } })),
    ]);
    expect(await needed()).toEqual([63, ["intent", 0], ["tone", 63]]);
    expect(await needed("--promote-at", "0.5")).toEqual([0, ["intent", 0], ["tone", 0]]);
  });

  it("is tables for people", async () => {
    await counted([
      ...times(9, check("allow")),
      check("reject", Reason.MESSAGE_RATE),
      mirrored(),
      compared({ lengthDifference: -0.2, latencyDifferenceMs: -120, similarity: 0 }),
    ]);
    const { code, out } = await report();
    expect(code).toBe(exitCodes.done);
    const lines = out.split("\n").map((line) => line.trim().split(/ {2,}/).join(" | "));
    expect(lines.slice(3)).toEqual([
      "requests | 10",
      "mirrored | 1",
      "compared | 1",
      "",
      "gates say | requests | share",
      "allow | 9 | 90.00 %",
      "divert | 0 | 0.00 %",
      "reject | 1 | 10.00 %",
      "",
      "reason | requests | share",
      "MESSAGE_RATE | 1 | 10.00 %",
      "",
      "admission would block | requests | of | rate | 95 % from | to",
      "MESSAGE_RATE | 1 | 10 | 10.00 % | 1.78 % | 40.41 %",
      "",
      "mirror | requests | share",
      "SUCCEEDED | 1 | 100.00 %",
      "",
      "meets the contract | answers | of | rate | 95 % from | to",
      "legacy | 1 | 1 | 100.00 % | 20.65 % | 100.00 %",
      "mirror | 1 | 1 | 100.00 % | 20.65 % | 100.00 %",
      "",
      "equal field | answers | of | rate | 95 % from | to | needed for 95.00 %",
      "intent | 1 | 1 | 100.00 % | 20.65 % | 100.00 % | 72",
      "",
      "mirror less legacy | answers | p10 | p50 | p95",
      "characters | 1 | 0 | 0 | 0",
      "milliseconds | 1 | -120 | -120 | -120",
      "",
      "alike, 0 to 1 | answers | p10 | p50 | p95",
      "similarity | 1 | 0.00 | 0.00 | 0.00",
      "",
    ]);
  });

  it("reads back as far as it is told", async () => {
    await counted([check("allow")], 90 * 60_000);
    await counted([check("allow")], 30 * 60_000);
    expect(await reported()).toMatchObject({ requests: 2, parity: null, mirror: { runs: 0 } });
    expect(await reported("--since", "1h")).toMatchObject({ requests: 1 });
    expect(await reported("--since", "3600s")).toMatchObject({ requests: 1 });
    expect(await reported("--since", "1d")).toMatchObject({ requests: 2 });
  });

  it("of a shadow that never came as far as admission has no rate", async () => {
    await counted(times(3, check("divert", Reason.KILLED)));
    expect(await reported()).toMatchObject({
      requests: 3,
      admission: { asked: 0, wouldBlock: [], indeterminate: [] },
    });
  });

  it("where a shadow saw nothing it ends with the code for that, and one line", async () => {
    // Others did.
    await counted(times(5, mirrored({ arm: "ai" })));
    await counted([{ ...check("allow"), feature: "other" }], 30_000);
    const { code, out, err } = await report("--json");
    expect({ code, out }).toEqual({ code: exitCodes.notFound, out: "" });
    expect(err).toMatch(/^sluice: no figures of a shadow of chat_gateway since 2\S+Z: .*\n$/);
  });

  it("where our tables are missing it says so", async () => {
    const { code, err } = await report("--prefix", "p9_");
    expect(code).toBe(exitCodes.notFound);
    expect(err).toContain("sluice migrate");
  });
});

describe("shadow report, asked wrongly", () => {
  it.each([
    [[], /required option '--feature <name>'/],
    [["--feature", "Chat gateway"], /--feature: got "Chat gateway", expected a lower-case letter/],
    [["--feature", "f", "--since", "yesterday"], /--since.*"yesterday".*30m, 24h or 7d/],
    [["--feature", "f", "--since", "0h"], /--since.*"0h"/],
    [["--feature", "f", "--since", "24"], /--since.*"24"/],
    [["--feature", "f", "--since", "401d"], /--since.*at most 400d/],
    [["--feature", "f", "--promote-at", "95"], /--promote-at.*"95".*above 0 and below 1, as 0\.95/],
    [["--feature", "f", "--promote-at", "0"], /--promote-at.*"0"/],
    [["--feature", "f", "--promote-at", "1"], /--promote-at.*"1"/],
    [["--feature", "f", "--promote-at", "1e-3"], /--promote-at.*"1e-3"/],
    [["--feature", "f"], /no database: give --database-url/],
    [["--feature", "f", "g"], /too many arguments/],
  ])("%j is wrong usage, in one line", async (argv, line) => {
    const { code, out, err } = await runCaptured(["shadow", "report", ...argv]);
    expect({ code, out }).toEqual({ code: exitCodes.usage, out: "" });
    expect(err).toMatch(/^sluice: .*\n$/);
    expect(err).toMatch(line);
  });
});
