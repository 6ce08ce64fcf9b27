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

const rounds = scaled(15);
const perSecond = 250;
const perRound = 60;
const body = wholeBody({ chunks: 0, gapMs: 0, says: "Open until six." });
const addedMs = 0.3;
const bounded: readonly RouteKind[] = ["memory"];

/** Latency at a steady rate that leaves the machine room; times count from when each was due. */
export async function benchSteady(routes: ByKind<Route>): Promise<readonly Metric[]> {
  const agent = new Agent({ keepAlive: true });
  const taken = byKind((): number[] => []);
  // The first round opens connections.
  for (let round = 0; round <= rounds; round += 1) {
    for (const kind of orderOf(round)) {
      const latencies = await steady(routes[kind].port, agent);
      if (round > 0) taken[kind].push(...latencies);
    }
  }
  agent.destroy();
  const figures = byKind((kind) => percentiles(taken[kind]));
  return [
    ...routeKinds.flatMap((kind) => {
      if (kind === "bare") return [];
      const key = (figure: string): string =>
        `JSON, ${perSecond} a second: ${figure} added, ${routeNames[kind]}`;
      const p99 = figures[kind].p99 - figures.bare.p99;
      return [
        told(key("p50"), figures[kind].p50 - figures.bare.p50, "ms"),
        bounded.includes(kind)
          ? atMost(key("p99"), p99, "ms", addedMs)
          : told(key("p99"), p99, "ms"),
      ];
    }),
    told(`JSON, ${perSecond} a second: p50, bare`, figures.bare.p50, "ms"),
    told(`JSON, ${perSecond} a second: p99, bare`, figures.bare.p99, "ms"),
  ];
}

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
