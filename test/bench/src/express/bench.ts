import autocannon from "autocannon";
import { startChild, type Child } from "../child.ts";
import { atLeast, atMost, told, type Metric } from "../result.ts";

const rounds = 5;
const seconds = 4;
const connections = 10;

interface Round {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

/**
 * The guarded Express route against the same route that calls the `openai` client bare, on one upstream,
 * in turn, each route and the upstream in a process of its own.
 */
export async function benchExpress(): Promise<readonly Metric[]> {
  const upstream = await startChild(new URL("./upstream-process.js", import.meta.url), []);
  const start = (kind: string): Promise<Child> =>
    startChild(new URL("./route-process.js", import.meta.url), [kind, String(upstream.port)], {
      env: { FEATURE_BENCH: "true" },
    });
  const routes = {
    bare: await start("bare"),
    aborting: await start("aborting"),
    guarded: await start("guarded"),
  };
  const taken: Record<keyof typeof routes, Round[]> = { bare: [], aborting: [], guarded: [] };
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    // Who goes first changes, so that neither always meets the cooler machine.
    const order = (["bare", "aborting", "guarded"] as const).map(
      (_, i, kinds) => kinds[(i + round) % kinds.length] ?? "bare",
    );
    for (const kind of order) {
      const measured = await load(routes[kind].port);
      if (round > 0) taken[kind].push(measured);
    }
  }
  for (const child of [...Object.values(routes), upstream]) child.stop();

  const against = (base: readonly Round[], of: (guarded: Round, base: Round) => number): number =>
    middle(
      taken.guarded.flatMap((guarded, i) => base.slice(i, i + 1).map((one) => of(guarded, one))),
    );
  const ratio = (guarded: Round, base: Round): number => guarded.perSecond / base.perSecond;
  const failed = Object.values(taken)
    .flat()
    .reduce((sum, round) => sum + round.failed, 0);
  return [
    atLeast("guarded / bare requests per second", against(taken.bare, ratio), "×", 0.97),
    told(
      "guarded / bare with an abort when the client leaves",
      against(taken.aborting, ratio),
      "×",
    ),
    atMost(
      "p99 added by the guard",
      against(taken.bare, (a, b) => a.p99 - b.p99),
      "ms",
      0.3,
    ),
    atMost("failed requests", failed, "", 0),
    told("bare", middle(taken.bare.map(({ perSecond }) => perSecond)), "requests/s"),
    told("guarded", middle(taken.guarded.map(({ perSecond }) => perSecond)), "requests/s"),
    told("bare p50", middle(taken.bare.map(({ p50 }) => p50)), "ms"),
    told("guarded p50", middle(taken.guarded.map(({ p50 }) => p50)), "ms"),
  ];
}

async function load(port: number): Promise<Round> {
  const result = await autocannon({
    url: `http://127.0.0.1:${port}/api`,
    connections,
    duration: seconds,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text: "Is it open today?" }),
  });
  return {
    perSecond: result.requests.average,
    p50: result.latency.p50,
    p99: result.latency.p99,
    failed: result.non2xx + result.errors + result.timeouts,
  };
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
