import { z95 } from "./wilson-interval.ts";

/**
 * How many trials more, if the rate seen so far holds, until the lower end of its `wilsonInterval` reaches
 * `target`. 0 where it has, `Infinity` where it never does, because the rate is not above the target; undefined
 * without a trial.
 *
 * The interval's ends are the rates t with (p − t)² = z² t (1 − t) / n, so the lower one reaches t at
 * n = z² t (1 − t) / (p − t)².
 * Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927), 209-212
 * @param successes from 0 to `trials`
 * @param target from 0 to 1
 * @param z how sure: 1.96 standard deviations are 95 %
 */
export function samplesNeeded(
  successes: number,
  trials: number,
  target: number,
  z = z95,
): number | undefined {
  if (trials <= 0) return undefined;
  if (target <= 0) return 0;
  const above = successes / trials - target;
  if (above <= 0) return Infinity;
  return Math.max(0, Math.ceil((z ** 2 * target * (1 - target)) / above ** 2) - trials);
}
