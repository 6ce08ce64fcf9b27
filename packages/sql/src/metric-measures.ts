import type { Measures } from "@sluice/contract";
import { addToHistogram, emptyLogHistogram } from "@sluice/policy";
import { increment } from "./increment.ts";
import type { MeasureSeries, MetricSeries } from "./metric-series.ts";

const maxMeasures = 32;
const maxMembers = 64;
const measureName = /^[a-z][A-Za-z0-9_]{0,62}$/;
/** A word, so that no prose can pass for a member. */
const memberName = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Gives back how many were not taken: a number that is not finite, a measure beyond 32, a member beyond 64 or
 * one that is no plain word.
 */
export function addMeasures(series: MetricSeries, measures: Measures): number {
  let refused = 0;
  for (const name of Object.keys(measures)) {
    const value = measures[name];
    if (value !== undefined && !addMeasure(series, name, value)) refused += 1;
  }
  return refused;
}

function addMeasure(series: MetricSeries, name: string, value: number | boolean | string): boolean {
  if (typeof value === "number" ? !Number.isFinite(value) : !memberName.test(String(value))) {
    return false;
  }
  const measure = series.measures.get(name) ?? startMeasure(series, name);
  if (measure === undefined) return false;
  if (typeof value === "number") {
    measure.sum = clamp(measure.sum + value);
    measure.count += 1;
    addToHistogram(measure.histogram, value);
    return true;
  }
  const member = String(value);
  if (measure.members.size >= maxMembers && !measure.members.has(member)) return false;
  increment(measure.members, member);
  return true;
}

function startMeasure(series: MetricSeries, name: string): MeasureSeries | undefined {
  if (series.measures.size >= maxMeasures || !measureName.test(name)) return undefined;
  const measure = { sum: 0, count: 0, histogram: emptyLogHistogram(), members: new Map() };
  series.measures.set(name, measure);
  return measure;
}

/** JSON has no infinity. */
function clamp(sum: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, sum));
}
