/** From a time to before another, in milliseconds since the epoch. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Which counts make up a span, each moment of it in one of them. */
export interface LatencyCover {
  readonly days: readonly Span[];
  readonly hours: readonly Span[];
  /** Not rolled up: the rows themselves. */
  readonly rows: readonly Span[];
}

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

/** Whole days where there are some, then whole hours, then rows. The starts are those that are rolled up. */
export function coverLatency(
  whole: Span,
  dayStarts: readonly number[],
  hourStarts: readonly number[],
): LatencyCover {
  const inside = (start: number, lengthMs: number): boolean =>
    start >= whole.fromMs && start + lengthMs <= whole.toMs;
  const days = dayStarts.filter((start) => inside(start, dayMs)).toSorted(ascending);
  const ofDays = new Set(days);
  const hours = hourStarts
    .filter((start) => inside(start, hourMs) && !ofDays.has(Math.floor(start / dayMs) * dayMs))
    .toSorted(ascending);
  const cover = { days: join(days, dayMs), hours: join(hours, hourMs) };
  return { ...cover, rows: between(whole, [...cover.days, ...cover.hours]) };
}

/** Neighbours become one span. */
function join(starts: readonly number[], lengthMs: number): readonly Span[] {
  const spans: Span[] = [];
  for (const start of starts) {
    const last = spans.at(-1);
    if (last?.toMs === start) spans.splice(-1, 1, { ...last, toMs: start + lengthMs });
    else spans.push({ fromMs: start, toMs: start + lengthMs });
  }
  return spans;
}

function between(whole: Span, covered: readonly Span[]): readonly Span[] {
  const gaps: Span[] = [];
  let { fromMs } = whole;
  for (const span of covered.toSorted((a, b) => ascending(a.fromMs, b.fromMs))) {
    if (span.fromMs > fromMs) gaps.push({ fromMs, toMs: span.fromMs });
    fromMs = span.toMs;
  }
  if (fromMs < whole.toMs) gaps.push({ fromMs, toMs: whole.toMs });
  return gaps;
}

function ascending(a: number, b: number): number {
  return a - b;
}
