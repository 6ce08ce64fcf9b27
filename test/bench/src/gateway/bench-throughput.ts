import { setTimeout } from "node:timers/promises";
import autocannon from "autocannon";
import { atLeast, atMost, told, type Metric } from "../result.ts";
import { byKind, orderOf, type ByKind } from "./by-kind.ts";
import { middle } from "./middle.ts";
import { streamBody, wholeBody } from "./question.ts";
import { routeKinds, routeNames, type RouteKind } from "./route-kinds.ts";
import { scaled } from "./scale.ts";
import type { Route } from "./start-routes.ts";

const rounds = scaled(7);
const warmUpRounds = 1;
const connections = 10;
/** For what was under way when the last connection was cut. */
const restMs = 50;
const bodies = {
  JSON: wholeBody({ chunks: 0, gapMs: 0, says: "Open until six." }),
  streams: streamBody({ chunks: 20, gapMs: 0, says: "word" }),
} as const;
type Form = keyof typeof bodies;
const seconds: Readonly<Record<Form, number>> = { JSON: 0.5, streams: 0.45 };

/** DESIGN, section 8; of the guarded routes and of those whose answer is the bare handler's. */
const bounds: Readonly<Partial<Record<RouteKind, number>>> = { memory: 0.97, redis: 0.9 };

/** As many requests as ten connections bring through, of each route in turn. */
export async function benchThroughput(routes: ByKind<Route>): Promise<readonly Metric[]> {
  const perSecond = byKind(() => ({ JSON: [] as number[], streams: [] as number[] }));
  const answered = byKind(() => ({ count: 0 }));
  let failed = 0;
  let cpuBefore = byKind(() => 0);
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    if (round === 0) cpuBefore = await cpuOf(routes);
    for (const kind of orderOf(round + warmUpRounds)) {
      for (const form of ["JSON", "streams"] as const) {
        const result = await load(routes[kind].port, form);
        await setTimeout(restMs);
        failed += result.non2xx + result.errors + result.timeouts;
        if (round < 0) continue;
        perSecond[kind][form].push(result.requests.total / result.duration);
        answered[kind].count += result.requests.total;
      }
    }
  }
  const cpuAfter = await cpuOf(routes);
  const cpuPerRequest = byKind((kind) => (cpuAfter[kind] - cpuBefore[kind]) / answered[kind].count);

  const metrics: Metric[] = [];
  for (const form of ["JSON", "streams"] as const) {
    for (const kind of routeKinds) {
      if (kind === "bare") continue;
      const ratio = middle(
        perSecond[kind][form].map((one, round) => one / (perSecond.bare[form][round] ?? Infinity)),
      );
      const key = `${form}: ${routeNames[kind]} / bare`;
      const bound = form === "JSON" ? bounds[kind] : undefined;
      metrics.push(bound === undefined ? told(key, ratio, "×") : atLeast(key, ratio, "×", bound));
    }
    metrics.push(told(`${form}: bare`, middle(perSecond.bare[form]), "requests/s"));
  }
  for (const kind of routeKinds) {
    const key = `CPU of the route's process per request: ${routeNames[kind]}`;
    metrics.push(told(key, cpuPerRequest[kind], "ms"));
  }
  return [...metrics, atMost("failed requests", failed, "", 0)];
}

function load(port: number, form: Form): Promise<autocannon.Result> {
  return autocannon({
    url: `http://127.0.0.1:${port}/api`,
    connections,
    duration: seconds[form],
    sampleInt: 100,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: bodies[form],
  });
}

async function cpuOf(routes: ByKind<Route>): Promise<ByKind<number>> {
  const taken = byKind(() => ({ cpuMs: 0 }));
  for (const kind of routeKinds) taken[kind].cpuMs = (await routes[kind].figures()).cpuMs;
  return byKind((kind) => taken[kind].cpuMs);
}
