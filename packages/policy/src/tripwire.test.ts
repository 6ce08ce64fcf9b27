import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judgeTripwire, observe, type Observation, type TripwireLimits } from "./tripwire.ts";

const off: TripwireLimits = {
  errorRate: undefined,
  latency: undefined,
  schemaFailures: undefined,
  minSubjects: 1,
};

const good = (subject: string): Observation => ({
  subject,
  latencyMs: 100,
  error: false,
  schemaFailure: false,
});
const bad = (subject: string): Observation => ({ ...good(subject), error: true });
const slow = (subject: string): Observation => ({ ...good(subject), latencyMs: 5001 });
const unparsable = (subject: string): Observation => ({ ...bad(subject), schemaFailure: true });
const harmful = (subject: string): Observation => ({ ...unparsable(subject), latencyMs: 9000 });

const times = (count: number, make: (subject: string) => Observation): Observation[] =>
  Array.from({ length: count }, (_, i) => make(`subject-${i}`));

const observation = fc.record({
  subject: fc.constantFrom("a", "b", "c"),
  latencyMs: fc.nat(20_000),
  error: fc.boolean(),
  schemaFailure: fc.boolean(),
});

describe("the window of observations", () => {
  it("keeps the latest and never more than its size", () => {
    fc.assert(
      fc.property(fc.array(observation), fc.integer({ min: 1, max: 20 }), (all, size) => {
        let window: readonly Observation[] = [];
        for (const next of all) window = observe(window, next, size);
        expect(window).toEqual(all.slice(-size));
      }),
    );
  });

  it("leaves the window it was given as it was", () => {
    const before = Object.freeze(times(3, good));
    expect(observe(before, bad("z"), 3)).toEqual([...before.slice(1), bad("z")]);
    expect(before).toHaveLength(3);
  });
});

describe("a tripwire", () => {
  it("without conditions never trips", () => {
    fc.assert(
      fc.property(fc.array(observation), (window) => {
        expect(judgeTripwire(window, off)).toBeUndefined();
      }),
    );
  });

  it("never trips on nothing, whatever its limits", () => {
    const strictest: TripwireLimits = {
      errorRate: { max: 0, minCalls: 0 },
      latency: { p95CeilingMs: 0, minCalls: 0 },
      schemaFailures: { max: 0 },
      minSubjects: 0,
    };
    expect(judgeTripwire([], strictest)).toBeUndefined();
  });
});

describe("the error rate's condition", () => {
  const limits: TripwireLimits = { ...off, errorRate: { max: 0.5, minCalls: 10 } };

  it("trips above the rate, with its figures", () => {
    expect(judgeTripwire([...times(4, good), ...times(6, bad)], limits)).toEqual({
      condition: "errorRate",
      figures: { calls: 10, errors: 6, max: 0.5 },
    });
  });

  it("does not trip at the rate", () => {
    expect(judgeTripwire([...times(5, good), ...times(5, bad)], limits)).toBeUndefined();
  });

  it("does not trip on fewer calls than it needs", () => {
    expect(judgeTripwire(times(9, bad), limits)).toBeUndefined();
  });
});

describe("the latency's condition", () => {
  const limits: TripwireLimits = { ...off, latency: { p95CeilingMs: 5000, minCalls: 20 } };

  it("trips when more than one call in twenty is over the ceiling", () => {
    expect(judgeTripwire([...times(18, good), ...times(2, slow)], limits)).toEqual({
      condition: "latency",
      figures: { calls: 20, slow: 2, p95CeilingMs: 5000 },
    });
  });

  it("does not trip at one in twenty, nor at the ceiling itself", () => {
    const atCeiling = (subject: string) => ({ ...good(subject), latencyMs: 5000 });
    expect(judgeTripwire([...times(19, good), slow("z")], limits)).toBeUndefined();
    expect(judgeTripwire(times(20, atCeiling), limits)).toBeUndefined();
  });

  it("does not trip on fewer calls than it needs", () => {
    expect(judgeTripwire(times(19, slow), limits)).toBeUndefined();
  });
});

describe("the schema failures' condition", () => {
  it("trips on the first when none is allowed", () => {
    const limits: TripwireLimits = { ...off, schemaFailures: { max: 0 } };
    expect(judgeTripwire([...times(50, good), unparsable("z")], limits)).toEqual({
      condition: "schemaFailures",
      figures: { calls: 51, schemaFailures: 1, max: 0 },
    });
  });

  it("does not trip while as many as allowed have failed", () => {
    const limits: TripwireLimits = { ...off, schemaFailures: { max: 2 } };
    expect(judgeTripwire(times(2, unparsable), limits)).toBeUndefined();
    expect(judgeTripwire(times(3, unparsable), limits)?.condition).toBe("schemaFailures");
  });
});

describe("the number of distinct subjects", () => {
  const limits: TripwireLimits = {
    errorRate: { max: 0.1, minCalls: 5 },
    latency: { p95CeilingMs: 5000, minCalls: 5 },
    schemaFailures: { max: 0 },
    minSubjects: 3,
  };

  it("keeps one user from shutting a feature, however often the harm", () => {
    const window = [...times(20, good), ...Array.from({ length: 80 }, () => harmful("mallory"))];
    expect(judgeTripwire(window, limits)).toBeUndefined();
  });

  it("counts those who met the harm, not those who were well", () => {
    const window = [...times(20, good), harmful("a"), harmful("b"), harmful("b"), harmful("a")];
    expect(judgeTripwire(window, limits)).toBeUndefined();
    expect(judgeTripwire([...window, harmful("c")], limits)?.condition).toBe("schemaFailures");
  });

  it("applies to every condition", () => {
    const two = ["a", "b"];
    const three = ["a", "b", "c"];
    const conditions = [
      [{ ...limits, latency: undefined, schemaFailures: undefined }, "errorRate"],
      [{ ...limits, errorRate: undefined, schemaFailures: undefined }, "latency"],
      [{ ...limits, errorRate: undefined, latency: undefined }, "schemaFailures"],
    ] as const;
    for (const [one, condition] of conditions) {
      const windowOf = (subjects: readonly string[]) =>
        Array.from({ length: 12 }, (_, i) => harmful(subjects[i % subjects.length] ?? "a"));
      expect(judgeTripwire(windowOf(two), one)).toBeUndefined();
      expect(judgeTripwire(windowOf(three), one)?.condition).toBe(condition);
    }
  });
});
