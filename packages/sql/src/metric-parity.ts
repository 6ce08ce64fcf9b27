import type { Measures, ParityFigures } from "@sluice/contract";
import { type MeasureTotals, toMeasure } from "./measure-totals.ts";

/** How often something was so, and how often not. */
export interface Tally {
  readonly yes: number;
  readonly no: number;
}

/** How mirrored answers compare with those of the legacy handler, over all comparisons. */
export interface ParityTotals {
  readonly legacyValid: Tally;
  readonly mirrorValid: Tally;
  /** By field: how often the two agreed. */
  readonly equal: ReadonlyMap<string, Tally>;
  /** In characters, the mirror's less the legacy's. */
  readonly lengthDifference: MeasureTotals;
  /** The mirror's less the legacy's. */
  readonly latencyDifferenceMs: MeasureTotals;
  /** From 0 to 1. */
  readonly similarity: MeasureTotals;
}

/** The measures that a comparison is kept as. */
const names = {
  legacyValid: "parity_legacy_valid",
  mirrorValid: "parity_mirror_valid",
  lengthDifference: "parity_length_difference",
  latencyDifferenceMs: "parity_latency_difference_ms",
  similarity: "parity_similarity",
} as const;
const equalPrefix = "parity_equal_";
const single: ReadonlySet<string> = new Set(Object.values(names));

export function parityMeasures(figures: ParityFigures): Measures {
  return {
    [names.legacyValid]: figures.legacyValid,
    [names.mirrorValid]: figures.mirrorValid,
    [names.lengthDifference]: figures.lengthDifference,
    [names.latencyDifferenceMs]: figures.latencyDifferenceMs,
    [names.similarity]: figures.similarity,
    ...Object.fromEntries(
      Object.entries(figures.equal).map(([field, isEqual]) => [`${equalPrefix}${field}`, isEqual]),
    ),
  };
}

/** The comparisons among the measures of a shadow, if there are any, and the measures that are none. */
export function splitParity(measures: ReadonlyMap<string, MeasureTotals>): {
  readonly parity: ParityTotals | undefined;
  readonly declared: ReadonlyMap<string, MeasureTotals>;
} {
  const declared = new Map<string, MeasureTotals>();
  const equal = new Map<string, Tally>();
  for (const [name, measure] of measures) {
    if (name.startsWith(equalPrefix)) equal.set(name.slice(equalPrefix.length), toTally(measure));
    else if (!single.has(name)) declared.set(name, measure);
  }
  if (declared.size === measures.size) return { parity: undefined, declared };
  const parity: ParityTotals = {
    legacyValid: toTally(measures.get(names.legacyValid)),
    mirrorValid: toTally(measures.get(names.mirrorValid)),
    equal,
    lengthDifference: measures.get(names.lengthDifference) ?? toMeasure({}),
    latencyDifferenceMs: measures.get(names.latencyDifferenceMs) ?? toMeasure({}),
    similarity: measures.get(names.similarity) ?? toMeasure({}),
  };
  return { parity, declared };
}

function toTally(measure: MeasureTotals | undefined): Tally {
  return { yes: measure?.members.get("true") ?? 0, no: measure?.members.get("false") ?? 0 };
}
