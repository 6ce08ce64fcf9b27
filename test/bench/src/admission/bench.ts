import { connectRedis } from "@sluice/redis";
import { once } from "node:events";
import { atLeast, atMost, told, type Metric } from "../result.ts";
import { compareClients } from "./clients.ts";
import { names, startContenders, type Contender, type Contenders } from "./contenders.ts";
import { closedLoop, openLoop, synchronousLoop, type Closed } from "./loops.ts";

const rounds = 7;
const roundMs = 300;
const openMs = 2000;
const openRate = 10_000;
const dimensions = "sluice, three dimensions";
const budgets = "sluice, three dimensions and two budgets";
const union = "rate-limiter-flexible, Union of four";

type Rounds = Readonly<Record<Contender, readonly Closed[]>>;

/** Decisions on one client of one process; `BENCH_REDIS_URL` names another server. */
export async function benchAdmission(): Promise<readonly Metric[]> {
  const url = process.env["BENCH_REDIS_URL"] ?? "redis://127.0.0.1:6379";
  const client = connectRedis({ url, random: Math.random });
  await once(client, "ready");
  const contenders = await startContenders(client);
  try {
    return [
      ...(await closed(contenders, 1)),
      ...(await closed(contenders, 50)),
      ...(await closed(contenders, 500)),
      ...(await open(contenders)),
      ...(await inBlocks(contenders)),
      ...(await compareClients(url)),
    ];
  } finally {
    await contenders.close();
    client.disconnect();
  }
}

async function closed(contenders: Contenders, callers: number): Promise<readonly Metric[]> {
  const taken = Object.fromEntries(names.map((name) => [name, [] as Closed[]])) as Record<
    Contender,
    Closed[]
  >;
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const result = await closedLoop(contenders.decide[name], callers, roundMs);
      if (round > 0) taken[name].push(result);
    }
  }
  const noop = "no-op EVALSHA";
  const asked = (figure: string): string => `${callers} callers: ${figure}`;
  return [
    ...(callers === 50
      ? [
          atLeast(asked(`${dimensions} / no-op`), ratio(taken, dimensions, noop), "×", 0.45),
          atLeast(asked(`${budgets} / no-op`), ratio(taken, budgets, noop), "×", 0.45),
          atLeast(asked(`${dimensions} / Union of four`), ratio(taken, dimensions, union), "×", 2),
          atLeast(asked(`${budgets} / Union of four`), ratio(taken, budgets, union), "×", 2),
        ]
      : [
          told(asked(`${dimensions} / no-op`), ratio(taken, dimensions, noop), "×"),
          told(asked(`${budgets} / no-op`), ratio(taken, budgets, noop), "×"),
          told(asked(`${dimensions} / Union of four`), ratio(taken, dimensions, union), "×"),
          told(asked(`${budgets} / Union of four`), ratio(taken, budgets, union), "×"),
        ]),
    ...names.flatMap((name) => [
      told(asked(name), Math.round(middle(taken[name].map((one) => one.perSecond))), "/s"),
      told(asked(`${name}, p99`), middle(taken[name].map(({ p99 }) => p99)), "ms"),
    ]),
  ];
}

/** Of the rounds' ratios the median: both saw the same machine. */
function ratio(taken: Rounds, of: Contender, to: Contender): number {
  return middle(
    taken[of].map(({ perSecond }, round) => perSecond / (taken[to][round]?.perSecond ?? Infinity)),
  );
}

async function open(contenders: Contenders): Promise<readonly Metric[]> {
  const measured = ["PING", dimensions, budgets] as const;
  const p99: Record<(typeof measured)[number], number[]> = {
    PING: [],
    [dimensions]: [],
    [budgets]: [],
  };
  for (let round = 0; round < rounds; round += 1) {
    for (const name of measured) {
      const taken = await openLoop(contenders.decide[name], openRate, openMs);
      p99[name].push(taken.p99);
    }
  }
  const times = (name: typeof dimensions | typeof budgets): number =>
    middle(p99[name].map((one, round) => one / (p99.PING[round] ?? Infinity)));
  return [
    atMost(atRate(`p99, ${dimensions} / PING`), times(dimensions), "×", 3),
    atMost(atRate(`p99, ${budgets} / PING`), times(budgets), "×", 3),
    ...measured.map((name) => told(atRate(`${name}, p99`), middle(p99[name]), "ms")),
  ];
}

async function inBlocks({ inBlocks: decide }: Contenders): Promise<readonly Metric[]> {
  const metrics: Metric[] = [];
  for (const name of ["in flight", "in flight and message rate"] as const) {
    const taken: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const perSecond = await synchronousLoop(decide[name], roundMs);
      if (round > 0) taken.push(perSecond);
    }
    metrics.push(atLeast(`blocks, ${name}`, Math.round(middle(taken)), "/s", 300_000));
  }
  return metrics;
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

const atRate = (figure: string): string => `${openRate} a second: ${figure}`;
