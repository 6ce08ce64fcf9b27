import { Agent } from "node:http";
import { setTimeout } from "node:timers/promises";
import { atMost, told, type Metric } from "../result.ts";
import { percentiles } from "../stream/percentiles.ts";
import { askChat } from "./ask-chat.ts";
import { byKind, orderOf, type ByKind } from "./by-kind.ts";
import { wholeBody } from "./question.ts";
import { routeKinds, routeNames, type RouteKind } from "./route-kinds.ts";
import { scaled } from "./scale.ts";
import type { Route } from "./start-routes.ts";

const rounds = scaled(20);
const perSecond = 250;
const perRound = 75;
const body = wholeBody({ chunks: 0, gapMs: 0, says: "Open until six." });
const addedMs = 0.3;
const bounded: readonly RouteKind[] = ["memory"];

/**
 * Latency at a steady rate that leaves the machine room; times count from when each was due.
 * @param again a second bare route: the bound is no less than what the two of them differ by
 */
export async function benchSteady(routes: ByKind<Route>, again: Route): Promise<readonly Metric[]> {
  const agent = new Agent({ keepAlive: true });
  const taken = byKind((): number[] => []);
  const takenAgain: number[] = [];
  // The first round opens connections.
  for (let round = 0; round <= rounds; round += 1) {
    const turns = orderOf(round).map((kind) => ({ route: routes[kind], into: taken[kind] }));
    // Not always the last, nor always the first.
    turns.splice(round % (turns.length + 1), 0, { route: again, into: takenAgain });
    for (const { route, into } of turns) {
      const latencies = await steady(route.port, agent);
      if (round > 0) into.push(...latencies);
    }
  }
  agent.destroy();
  const figures = byKind((kind) => percentiles(taken[kind]));
  const noiseMs = Math.abs(percentiles(takenAgain).p99 - figures.bare.p99);
  const boundMs = Number(Math.max(addedMs, noiseMs).toPrecision(3));
  return [
    ...routeKinds.flatMap((kind) => {
      if (kind === "bare") return [];
      const p99 = figures[kind].p99 - figures.bare.p99;
      const p99Key = key("p99 added", routeNames[kind]);
      return [
        told(key("p50 added", routeNames[kind]), figures[kind].p50 - figures.bare.p50, "ms"),
        bounded.includes(kind) ? atMost(p99Key, p99, "ms", boundMs) : told(p99Key, p99, "ms"),
      ];
    }),
    told(key("p50", "bare"), figures.bare.p50, "ms"),
    told(key("p99", "bare"), figures.bare.p99, "ms"),
    told(key("p99 that two bare routes differ by", "the bound where over 0.3 ms"), noiseMs, "ms"),
  ];
}

const key = (figure: string, route: string): string =>
  `JSON, ${perSecond} a second: ${figure}, ${route}`;

async function steady(port: number, agent: Agent): Promise<readonly number[]> {
  const gapMs = 1000 / perSecond;
  const startMs = performance.now();
  const asked: Promise<number>[] = [];
  const ask = async (dueMs: number): Promise<number> => {
    await askChat({ port, agent, body });
    return performance.now() - dueMs;
  };
  while (asked.length < perRound) {
    const dueMs = startMs + asked.length * gapMs;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await setTimeout(waitMs);
    // A timer that is late is the machine's, not the route's.
    asked.push(ask(Math.max(dueMs, performance.now())));
  }
  return Promise.all(asked);
}
