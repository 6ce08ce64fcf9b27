/** How far an estimate may be from the value it stands for: 1 %. */
export const logHistogramAccuracy = 0.01;

/** A bucket's upper edge is this times its lower edge. */
export const logHistogramGamma = (1 + logHistogramAccuracy) / (1 - logHistogramAccuracy);

const lnGamma = Math.log(logHistogramGamma);
/** What is closer to zero counts as zero. */
const smallest = 1e-9;
/** What is farther from zero is in the last bucket. */
const largest = 1e15;
const firstIndex = Math.ceil(Math.log(smallest) / lnGamma);
const lastIndex = Math.ceil(Math.log(largest) / lnGamma);

/**
 * A histogram whose buckets grow with the value, so that a quantile is within 1 % of the exact one, and that
 * merges without loss. Bucket i holds x with gamma^(i-1) < x <= gamma^i, so i = ceil(ln(x) / ln(gamma));
 * negative values have such buckets of their own, and zero has one. At most 5529 buckets.
 * Source: DDSketch: Masson, Rim, Lee, VLDB 2019, https://arxiv.org/abs/1908.10693
 */
export interface LogHistogram {
  /** Values that are in a bucket. */
  readonly count: number;
  /** Values that were no finite number, and are in none. */
  readonly refused: number;
  /** Counts by place: places are in the order of the values, zero at 0. */
  readonly buckets: ReadonlyMap<number, number>;
}

interface MutableHistogram extends LogHistogram {
  count: number;
  refused: number;
  readonly buckets: Map<number, number>;
}

/** Of no value yet. */
export function emptyLogHistogram(): LogHistogram {
  const histogram: MutableHistogram = { count: 0, refused: 0, buckets: new Map() };
  return histogram;
}

/** Counts a value, in place. */
export function addToHistogram(histogram: LogHistogram, value: number): void {
  if (Number.isFinite(value)) addTimes(histogram, placeOf(value), 1);
  else (histogram as MutableHistogram).refused += 1;
}

/** Counts in the first, in place, all that the second has counted. */
export function mergeHistogram(into: LogHistogram, from: LogHistogram): void {
  // A copy, because a histogram may be merged into itself.
  for (const [place, times] of Array.from(from.buckets)) addTimes(into, place, times);
  (into as MutableHistogram).refused += from.refused;
}

/**
 * The quantile, as `percentile_cont` has it: interpolated between the two nearest ranks, each of them within
 * 1 % of the value that holds it. Undefined where nothing was counted or `q` is not from 0 to 1.
 */
export function histogramQuantile(histogram: LogHistogram, q: number): number | undefined {
  if (histogram.count === 0 || !(q >= 0 && q <= 1)) return undefined;
  const rank = q * (histogram.count - 1);
  const places = Array.from(histogram.buckets.keys()).toSorted((a, b) => a - b);
  const low = valueAt(histogram, places, Math.floor(rank));
  const high = valueAt(histogram, places, Math.ceil(rank));
  const part = rank - Math.floor(rank);
  // By the difference of the two, a large one near its end would leave its rounding in place of the small one.
  return low === high ? low : (1 - part) * low + part * high;
}

/** Counts by the name of the bucket: `p12` and `n-3` are indices among positive and negative values, `z` is zero. */
export function histogramToJson(histogram: LogHistogram): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Array.from(histogram.buckets, ([place, times]) => [nameOf(place), times]),
  );
}

/** From the form of `histogramToJson`; undefined where it has another. */
export function parseLogHistogram(json: unknown): LogHistogram | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  const histogram = emptyLogHistogram();
  for (const [name, times] of Object.entries(json as Readonly<Record<string, unknown>>)) {
    const place = parseName(name);
    if (place === undefined || !isCount(times)) return undefined;
    addTimes(histogram, place, times);
  }
  return histogram;
}

function addTimes(histogram: LogHistogram, place: number, times: number): void {
  const { buckets } = histogram as MutableHistogram;
  buckets.set(place, (buckets.get(place) ?? 0) + times);
  (histogram as MutableHistogram).count += times;
}

function placeOf(value: number): number {
  const size = Math.abs(value);
  if (size < smallest) return 0;
  const index = Math.ceil(Math.log(size) / lnGamma);
  const place = toPlace(Math.min(Math.max(index, firstIndex), lastIndex));
  return value < 0 ? -place : place;
}

/** From 1, so that 0 is free for zero. */
function toPlace(index: number): number {
  return index - firstIndex + 1;
}

function toIndex(place: number): number {
  return Math.abs(place) + firstIndex - 1;
}

/** The value that is equally far, in parts of itself, from both edges of the bucket. */
function valueOf(place: number): number {
  if (place === 0) return 0;
  const size = (2 * Math.exp(toIndex(place) * lnGamma)) / (logHistogramGamma + 1);
  return place < 0 ? -size : size;
}

function valueAt(histogram: LogHistogram, places: readonly number[], rank: number): number {
  let seen = 0;
  for (const place of places) {
    seen += histogram.buckets.get(place) ?? 0;
    if (seen > rank) return valueOf(place);
  }
  return valueOf(places.at(-1) ?? 0);
}

function nameOf(place: number): string {
  if (place === 0) return "z";
  return `${place < 0 ? "n" : "p"}${toIndex(place)}`;
}

function parseName(name: string): number | undefined {
  if (name === "z") return 0;
  const [, sign, digits = ""] = /^([np])(0|-?[1-9]\d{0,3})$/.exec(name) ?? [];
  const index = Number(digits);
  if (sign === undefined || index < firstIndex || index > lastIndex) return undefined;
  return sign === "n" ? -toPlace(index) : toPlace(index);
}

function isCount(times: unknown): times is number {
  return Number.isSafeInteger(times) && (times as number) > 0;
}
