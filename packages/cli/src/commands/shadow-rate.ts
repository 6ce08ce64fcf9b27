import { wilsonInterval } from "@sluice/policy";

/** How many of all, by name. */
export interface Share {
  readonly name: string;
  readonly count: number;
  readonly share: number;
}

/** The most frequent first. */
export function sharesOf(counts: ReadonlyMap<string, number>, all: number): readonly Share[] {
  return [...counts]
    .map(([name, count]) => ({ name, count, share: all === 0 ? 0 : count / all }))
    .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

/** A rate that was seen, and where the true one lies with 95 % confidence. */
export interface Rate {
  readonly count: number;
  readonly of: number;
  /** Null where nothing was seen. */
  readonly rate: number | null;
  readonly low: number;
  readonly high: number;
}

export function rateOf(count: number, of: number): Rate {
  const { low, high } = wilsonInterval(count, of);
  return { count, of, rate: of === 0 ? null : count / of, low, high };
}
