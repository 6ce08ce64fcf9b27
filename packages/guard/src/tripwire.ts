import { ConfigError } from "@sluice/contract";
import { judgeTripwire, observe, type Observation, type Trip } from "@sluice/policy";
import { z } from "zod";
import type { Events } from "./events.ts";
import type { Safety } from "./safety.ts";

/** Below 1, because more than all calls never fail. */
const share = z.number().min(0).lt(1);

export const tripwireOptionsSchema = z.strictObject({
  /** What is shut: the run that met the harm, or the feature in this process. */
  scope: z.enum(["run", "process"]),
  /** Trips when more than `max` of the calls failed. */
  errorRate: z.strictObject({ max: share, minCalls: z.int().min(1).default(20) }).optional(),
  /** Trips when the p95 latency is above the ceiling. */
  latency: z
    .strictObject({ p95CeilingMs: z.number().positive(), minCalls: z.int().min(1).default(20) })
    .optional(),
  /** Trips when more answers than this failed the contract. */
  schemaFailures: z.strictObject({ max: z.int().min(0) }).optional(),
  /** Calls looked back on. */
  windowCalls: z.int().min(1).max(10_000).default(200),
  /** In scope `process`: distinct subjects that must have met the harm. */
  minSubjects: z.int().min(2).default(3),
});

/**
 * Refuses a tripwire that could never trip.
 * @throws ConfigError
 */
export function assertTripwire(
  where: string,
  options: z.output<typeof tripwireOptionsSchema> | undefined,
): void {
  if (options === undefined) return;
  const { scope, errorRate, latency, schemaFailures, windowCalls, minSubjects } = options;
  if (errorRate === undefined && latency === undefined && schemaFailures === undefined) {
    throw new ConfigError({
      option: where,
      got: "no condition",
      expected: "errorRate, latency or schemaFailures",
    });
  }
  const needs = {
    "errorRate.minCalls": errorRate?.minCalls ?? 0,
    "latency.minCalls": latency?.minCalls ?? 0,
    "schemaFailures.max + 1": schemaFailures === undefined ? 0 : schemaFailures.max + 1,
    minSubjects: scope === "process" ? minSubjects : 0,
  };
  for (const [need, calls] of Object.entries(needs)) {
    if (windowCalls >= calls) continue;
    throw new ConfigError({
      option: `${where}.windowCalls`,
      got: String(windowCalls),
      expected: `at least the ${calls} of ${need}, or it never trips`,
    });
  }
}

export type TripwireOptions = Readonly<z.input<typeof tripwireOptionsSchema>>;

/** Runs that are watched or tripped at once; beyond it the one idle longest goes, untripped ones first. */
const maxRuns = 10_000;

/** Shuts the feature by itself, loudly, until reset. */
export interface Tripwire {
  readonly detail: string;
  hasTripped(run: string | undefined): boolean;
  observe(run: string | undefined, seen: Observation): void;
  /** Lifts what has tripped: everything, or one run. */
  reset(run?: string): void;
}

interface Watch {
  window: readonly Observation[];
  tripped: boolean;
}

const never: Tripwire = {
  detail: "no tripwire",
  hasTripped: () => false,
  observe: () => undefined,
  reset: () => undefined,
};

export function createTripwire(
  options: z.output<typeof tripwireOptionsSchema> | undefined,
  safety: Safety,
  events: Events,
  onTripped: (run: string | undefined) => void,
): Tripwire {
  if (options === undefined) return never;
  const { scope, windowCalls } = options;
  const limits = {
    errorRate: options.errorRate,
    latency: options.latency,
    schemaFailures: options.schemaFailures,
    // A run is one subject's work as often as not, and shutting it harms nobody else.
    minSubjects: scope === "run" ? 1 : options.minSubjects,
  };
  let process: Watch = { window: [], tripped: false };
  const runs = new Map<string, Watch>();

  let latest = "";
  const tell = (trip: Trip, what: string): void => {
    const figures = Object.entries(trip.figures).map(([name, value]) => `${name} ${value}`);
    latest = `${trip.condition} (${figures.join(", ")})`;
    events.alert({
      code: "TRIPPED",
      message: `the tripwire shut ${what}: ${latest}; it stays shut until reset`,
      figures: trip.figures,
    });
  };

  const watchOf = (run: string): Watch => {
    const known = runs.get(run);
    if (known !== undefined) {
      runs.delete(run);
      runs.set(run, known);
      return known;
    }
    if (runs.size >= maxRuns) {
      const idle = idlest(runs);
      if (idle !== undefined) runs.delete(idle);
    }
    const watch: Watch = { window: [], tripped: false };
    runs.set(run, watch);
    return watch;
  };

  return {
    get detail() {
      return latest === ""
        ? `tripwire per ${scope}`
        : `tripwire per ${scope}, last trip: ${latest}`;
    },
    hasTripped: (run) => run !== undefined && scope === "run" && (runs.get(run)?.tripped ?? false),
    observe(run, seen) {
      if (scope === "process") {
        if (process.tripped) return;
        process.window = observe(process.window, seen, windowCalls);
        const trip = judgeTripwire(process.window, limits);
        if (trip === undefined) return;
        process.tripped = true;
        tell(trip, "the feature in this process");
        safety.trip();
        onTripped(undefined);
        return;
      }
      // A request without a run is its own run, which is over.
      if (run === undefined) return;
      const watch = watchOf(run);
      if (watch.tripped) return;
      watch.window = observe(watch.window, seen, windowCalls);
      const trip = judgeTripwire(watch.window, limits);
      if (trip === undefined) return;
      watch.tripped = true;
      tell(trip, "a run");
      onTripped(run);
    },
    reset(run) {
      if (run !== undefined) {
        runs.delete(run);
        return;
      }
      runs.clear();
      process = { window: [], tripped: false };
      safety.resetTrip();
    },
  };
}

function idlest(runs: ReadonlyMap<string, Watch>): string | undefined {
  for (const [run, watch] of runs) {
    if (!watch.tripped) return run;
  }
  return runs.keys().next().value;
}
