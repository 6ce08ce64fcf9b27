import type { Metric } from "../result.ts";
import { benchFirstContent } from "./bench-first-content.ts";
import { benchInvisible } from "./bench-invisible.ts";
import { benchSteady } from "./bench-steady.ts";
import { benchThroughput } from "./bench-throughput.ts";
import { benchVanish } from "./bench-vanish.ts";
import { assertAnswers } from "./assert-answers.ts";
import { byKind } from "./by-kind.ts";
import { routeKinds, type RouteKind } from "./route-kinds.ts";
import { startSurroundings, type Route, type Surroundings } from "./start-routes.ts";

/** What the chat gateway adds to a route, whether its shadow shows, and what clients that vanish leave. */
export async function benchGateway(): Promise<readonly Metric[]> {
  const surroundings = await startSurroundings();
  try {
    return [
      ...(await besideEachOther(surroundings)),
      ...(await benchInvisible(surroundings)),
      ...(await benchVanish(surroundings)),
    ];
  } finally {
    await surroundings.stop();
  }
}

async function besideEachOther(surroundings: Surroundings): Promise<readonly Metric[]> {
  const started = new Map<RouteKind, Route>();
  for (const kind of routeKinds) started.set(kind, await surroundings.start(kind));
  const routes = byKind((kind) => {
    const route = started.get(kind);
    if (route === undefined) throw new Error(`bench: ${kind} was not started`);
    return route;
  });
  await assertAnswers(routes);
  const again = await surroundings.start("bare");
  const metrics = [
    ...(await benchThroughput(routes)),
    ...(await benchSteady(routes, again)),
    ...(await benchFirstContent(routes)),
  ];
  for (const route of [again, ...routeKinds.map((kind) => routes[kind])]) route.stop();
  return metrics;
}
