import type { FlagSource } from "@sluice/contract";
import {
  FakeClock,
  fakeFlagSource,
  fakeProvider,
  recordingSink,
  sampleFeature,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, envFlags } from "./index.ts";

function malformed(variables: Record<string, string>) {
  const record = recordingSink();
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>(),
    flags: envFlags({ variables }),
    allowlist: [],
    sinks: [record.sink],
  });
  /** Variables that were told of since the last time. */
  let told = 0;
  const news = async (): Promise<readonly (string | undefined)[]> => {
    for (let i = 0; i < 3; i += 1) await guard.run({ prompt: "p" }, { subject: "alice" });
    guard.flush();
    const alerts = record.of("alert").slice(told);
    told += alerts.length;
    return alerts.map((alert) => alert.variable);
  };
  return { guard, news, record };
}

describe("a malformed value of a flag", () => {
  it("is told at the start, by its variable and how it is read, never by its value", async () => {
    const { news, record, guard } = malformed({ FEATURE_SAMPLE_AI: "true", SAMPLE_AI_KILL: "nah" });
    expect(await news()).toEqual(["SAMPLE_AI_KILL"]);
    expect(record.of("alert")).toMatchObject([
      {
        code: "FLAG_MALFORMED",
        message: "SAMPLE_AI_KILL is malformed: expected true or false; it is read as true",
      },
    ]);
    guard.close();
  });

  it("is told once for as long as it lasts, whatever else changes", async () => {
    const variables: Record<string, string> = { FEATURE_SAMPLE_AI: "true" };
    const { news, guard } = malformed(variables);
    expect(await news()).toEqual([]);
    variables["SAMPLE_AI_KILL"] = "nah";
    expect(await news()).toEqual(["SAMPLE_AI_KILL"]);
    variables["SAMPLE_AI_ROLLOUT_PERCENT"] = "50";
    expect(await news()).toEqual([]);
    variables["SAMPLE_AI_KILL"] = "neither";
    expect(await news()).toEqual([]);
    variables["SAMPLE_AI_ROLLOUT_PERCENT"] = "half";
    expect(await news()).toEqual(["SAMPLE_AI_ROLLOUT_PERCENT"]);
    guard.close();
  });

  it("is told again when it comes back after it was put right", async () => {
    const variables: Record<string, string> = { SAMPLE_AI_KILL: "nah" };
    const { news, guard } = malformed(variables);
    expect(await news()).toEqual(["SAMPLE_AI_KILL"]);
    variables["SAMPLE_AI_KILL"] = "false";
    expect(await news()).toEqual([]);
    variables["SAMPLE_AI_KILL"] = "nah";
    expect(await news()).toEqual(["SAMPLE_AI_KILL"]);
    guard.close();
  });
});

function growingStale(more: Partial<FlagSource> = {}) {
  const clock = new FakeClock();
  const record = recordingSink();
  const source = fakeFlagSource({ clock });
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>(),
    flags: { ...source, name: "sql", ...more },
    clock,
    sinks: [record.sink],
  });
  const told = (): readonly string[] => {
    guard.flush();
    return record.of("alert").map(({ code }) => code);
  };
  const ask = () => guard.run({ prompt: "p" }, { subject: "alice" });
  return { clock, source, guard, record, told, ask };
}

describe("I9 flags that were not confirmed in time", () => {
  it("are told of once, however many requests meet them, and once when they are fresh again", async () => {
    const { clock, source, guard, told, ask } = growingStale();
    clock.advance(5000);
    guard.describe();
    expect(told()).toEqual([]);
    clock.advance(1);
    for (let i = 0; i < 3; i += 1) expect(await ask()).toMatchObject({ reason: "FLAGS_STALE" });
    expect(told()).toEqual(["FLAGS_STALE"]);
    source.confirm();
    for (let i = 0; i < 3; i += 1) guard.describe();
    expect(told()).toEqual(["FLAGS_STALE", "FLAGS_FRESH"]);
    clock.advance(5001);
    await ask();
    expect(told()).toEqual(["FLAGS_STALE", "FLAGS_FRESH", "FLAGS_STALE"]);
    guard.close();
  });

  it("are told of with the source, the limit and what troubles it", async () => {
    const { clock, source, guard, record, ask } = growingStale({ trouble: () => "ECONNREFUSED" });
    clock.advance(5001);
    await ask();
    source.confirm();
    guard.describe();
    guard.flush();
    expect(record.of("alert")).toMatchObject([
      {
        code: "FLAGS_STALE",
        message:
          "flags from sql were not confirmed for more than 5000 ms (ECONNREFUSED): the feature is closed",
        figures: { maxStalenessMs: 5000 },
      },
      {
        code: "FLAGS_FRESH",
        message: "flags from sql are confirmed again: the feature follows them",
      },
    ]);
    guard.close();
  });

  it.each<[string, () => string | undefined]>([
    ["nothing", () => undefined],
    ["what is no code", () => 'password "hunter2" was refused'],
    ["no text at all", () => ({}) as string],
    [
      "an error",
      () => {
        throw new Error("password hunter2");
      },
    ],
  ])("are told of without what troubles the source where that is %s", async (_, trouble) => {
    const { clock, guard, record, ask } = growingStale({ trouble });
    clock.advance(5001);
    await ask();
    guard.flush();
    expect(record.of("alert")).toMatchObject([
      {
        message: "flags from sql were not confirmed for more than 5000 ms: the feature is closed",
      },
    ]);
    guard.close();
  });

  it("are noticed while a request is in flight, which is aborted", async () => {
    const { clock, told, ask, guard } = growingStale();
    const running = ask();
    await clock.advanceAsync(5100);
    expect(await running).toMatchObject({ status: "STUBBED", reason: "FLAGS_STALE" });
    expect(told()).toEqual(["FLAGS_STALE"]);
    guard.close();
  });

  it("are told of in a feature that is killed as well", async () => {
    const { clock, told, ask, guard } = growingStale();
    guard.kill();
    clock.advance(5001);
    await ask();
    expect(told()).toEqual(["KILLED_LOCALLY", "FLAGS_STALE"]);
    guard.close();
  });

  it("are not what a source that throws is told of", async () => {
    const { told, ask, guard } = growingStale({
      confirmedAt: () => {
        throw new Error("defect");
      },
    });
    expect(await ask()).toMatchObject({ reason: "FLAGS_STALE" });
    expect(told()).toEqual(["DEPENDENCY_THREW"]);
    guard.close();
  });
});

function throwing(what: "read" | "confirmedAt") {
  const control = { broken: false };
  const base = fakeFlagSource({ clock: new FakeClock() });
  const throwIfBroken = (): void => {
    if (control.broken) throw new Error("defect");
  };
  const parts = growingStale({
    read: (feature) => {
      if (what === "read") throwIfBroken();
      return base.read(feature);
    },
    confirmedAt: () => {
      if (what === "confirmedAt") throwIfBroken();
      return undefined;
    },
  });
  return { ...parts, control };
}

describe("a flag source that throws", () => {
  it.each(["read", "confirmedAt"] as const)(
    "is told of once per spell, however long that is: %s",
    (what) => {
      const { clock, control, told, guard } = throwing(what);
      const spells: number[] = [];
      for (const broken of [true, false, true, false]) {
        control.broken = broken;
        for (let i = 0; i < 3; i += 1) {
          guard.describe();
          clock.advance(6000);
        }
        spells.push(told().length);
      }
      expect(spells).toEqual([1, 1, 2, 2]);
      guard.close();
    },
  );

  it("now and then is not told of for each request", () => {
    const { clock, control, told, guard } = throwing("read");
    for (let i = 0; i < 20; i += 1) {
      control.broken = i % 2 === 0;
      guard.describe();
      clock.advance(10);
    }
    expect(told()).toEqual(["DEPENDENCY_THREW"]);
    guard.close();
  });
});
