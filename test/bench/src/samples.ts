import { setImmediate } from "node:timers/promises";

/** Times of many calls, in microseconds. */
export interface Samples {
  readonly p50: number;
  readonly p99: number;
}

const rounds = 9;
const callsPerRound = 20_000;
/** Calls between two turns of the event loop, as on a busy server; the turn itself is not timed. */
const callsPerTurn = 20;

/**
 * Times each contender call by call, in turn, round by round, so that all see the same machine; of the
 * rounds' percentiles the median counts. The first round warms up.
 */
export async function timeSync<Name extends string>(
  contenders: Readonly<Record<Name, () => void>>,
): Promise<Record<Name, Samples>> {
  const times = collect(contenders);
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names(contenders)) {
      const call = contenders[name];
      const taken = new Float64Array(callsPerRound);
      for (let i = 0; i < callsPerRound; i += 1) {
        const start = performance.now();
        call();
        taken[i] = performance.now() - start;
        if (i % callsPerTurn === 0) await setImmediate();
      }
      if (round > 0) times[name].push(percentiles(taken));
    }
  }
  return medians(times);
}

/** The same for calls that answer with a promise; one after the other. */
export async function timeAsync<Name extends string>(
  contenders: Readonly<Record<Name, () => Promise<unknown>>>,
): Promise<Record<Name, Samples>> {
  const times = collect(contenders);
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names(contenders)) {
      const call = contenders[name];
      const taken = new Float64Array(callsPerRound);
      for (let i = 0; i < callsPerRound; i += 1) {
        const start = performance.now();
        await call();
        taken[i] = performance.now() - start;
        if (i % callsPerTurn === 0) await setImmediate();
      }
      if (round > 0) times[name].push(percentiles(taken));
    }
  }
  return medians(times);
}

function names<Name extends string>(of: Readonly<Record<Name, unknown>>): Name[] {
  return Object.keys(of) as Name[];
}

function collect<Name extends string>(
  of: Readonly<Record<Name, unknown>>,
): Record<Name, Samples[]> {
  return Object.fromEntries(names(of).map((name) => [name, []])) as unknown as Record<
    Name,
    Samples[]
  >;
}

function percentiles(taken: Float64Array): Samples {
  const sorted = taken.toSorted();
  const at = (share: number): number => (sorted[Math.floor(sorted.length * share)] ?? 0) * 1000;
  return { p50: at(0.5), p99: at(0.99) };
}

function medians<Name extends string>(times: Record<Name, Samples[]>): Record<Name, Samples> {
  return Object.fromEntries(
    names(times).map((name) => [
      name,
      {
        p50: middle(times[name].map(({ p50 }) => p50)),
        p99: middle(times[name].map(({ p99 }) => p99)),
      },
    ]),
  ) as Record<Name, Samples>;
}

function middle(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
