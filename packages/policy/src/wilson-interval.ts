/** The normal distribution has 95 % of its values within so many standard deviations of its mean. */
export const z95 = 1.959963984540054;

/** Where a proportion lies, from 0 to 1. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * The score interval of a proportion, seen `successes` times in `trials`; everything from 0 to 1 without a
 * trial. With p = successes / trials it is
 *
 *   (p + z² / 2n ± z · sqrt(p (1 − p) / n + z² / 4n²)) / (1 + z² / n)
 *
 * which, unlike p ± z · sqrt(p (1 − p) / n), stays within 0 and 1, and is no point where p is 0 or 1.
 * Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927), 209-212
 * @param successes from 0 to `trials`
 * @param z how sure: 1.96 standard deviations are 95 %
 */
export function wilsonInterval(successes: number, trials: number, z = z95): Interval {
  if (trials <= 0) return { low: 0, high: 1 };
  const rate = successes / trials;
  const share = z ** 2 / trials;
  const middle = rate + share / 2;
  const half = z * Math.sqrt((rate * (1 - rate)) / trials + share / (4 * trials));
  return {
    // At the edges the interval ends there, and not beside it by a rounding.
    low: rate === 0 ? 0 : Math.max(0, (middle - half) / (1 + share)),
    high: rate === 1 ? 1 : Math.min(1, (middle + half) / (1 + share)),
  };
}
