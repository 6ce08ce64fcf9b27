import { startChild, type Child } from "../child.ts";
import { startRedis, type OwnRedis } from "../redis-loss/start-redis.ts";
import type { RouteFigures } from "./route-figures.ts";
import type { FailingKind, RouteKind } from "./route-kinds.ts";
import type { StageName } from "./stage-variables.ts";

/** One route, in a process of its own. */
export interface Route {
  readonly port: number;
  figures(): Promise<RouteFigures>;
  setStage(stage: StageName): Promise<void>;
  stop(): void;
}

/** The one upstream of all routes, and what else they have before it. */
export interface Surroundings {
  start(kind: RouteKind | FailingKind): Promise<Route>;
  /** Calls that the upstream is answering. */
  upstreamCalls(): Promise<number>;
  /** Those that the upstream holds go on. */
  letGo(): Promise<void>;
  /** The routes too. */
  stop(): Promise<void>;
}

export async function startSurroundings(): Promise<Surroundings> {
  const redis: OwnRedis = await startRedis();
  const upstream = await startChild(new URL("./upstream-process.js", import.meta.url), []);
  const portkey = await startChild(new URL("./portkey-process.js", import.meta.url), []);
  const started = [upstream, portkey];
  return {
    async start(kind) {
      const child = await startChild(
        new URL("./route-process.js", import.meta.url),
        [kind, String(upstream.port), String(portkey.port), redis.url],
        { execArgv: ["--expose-gc"] },
      );
      started.push(child);
      return toRoute(child);
    },
    upstreamCalls: async () => (await upstream.ask("open")) as number,
    async letGo() {
      await upstream.ask("let go");
    },
    async stop() {
      for (const child of started) child.stop();
      await redis.remove();
    },
  };
}

function toRoute(child: Child): Route {
  return {
    port: child.port,
    figures: async () => (await child.ask("figures")) as RouteFigures,
    async setStage(stage) {
      await child.ask(stage);
    },
    stop: () => child.stop(),
  };
}
