import { Agent } from "node:http";
import { atMost, told, type Metric } from "../result.ts";
import { monotonicMs } from "../stream/monotonic-ms.ts";
import { percentiles } from "../stream/percentiles.ts";
import { age } from "../stream/stamp.ts";
import { askChat } from "./ask-chat.ts";
import { byKind, orderOf, type ByKind } from "./by-kind.ts";
import { streamBody, type Question } from "./question.ts";
import { routeKinds, routeNames, type RouteKind } from "./route-kinds.ts";
import { scaled } from "./scale.ts";
import type { Route } from "./start-routes.ts";
import { createUiPieces } from "./ui-pieces.ts";

const short: Question = { chunks: 2, gapMs: 0, says: "" };
const paced: Question = { chunks: 20, gapMs: 3, says: "" };
/** Of one route in one round. */
const shortPerRound = 12;
const rounds = scaled(22);
const warmUpRounds = 2;
const addedMs = 0.1;
const bounded: readonly RouteKind[] = ["memory"];

interface Taken {
  readonly firstMs: number[];
  readonly delaysMs: number[];
  /** Pieces that came merged or not at all, and streams that did not end as one. */
  amiss: number;
}

/** Streams one at a time: when the first piece of text comes, and each piece after it was sent. */
export async function benchFirstContent(routes: ByKind<Route>): Promise<readonly Metric[]> {
  const agent = new Agent({ keepAlive: true });
  const taken = byKind(fresh);
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    for (const kind of orderOf(round + warmUpRounds)) {
      const into = round < 0 ? fresh() : taken[kind];
      for (let i = 0; i < shortPerRound; i += 1) {
        into.firstMs.push(await readOne(routes[kind].port, agent, short, into));
      }
      await readOne(routes[kind].port, agent, paced, into);
    }
  }
  agent.destroy();
  const first = byKind((kind) => percentiles(taken[kind].firstMs));
  const delay = byKind((kind) => percentiles(taken[kind].delaysMs));
  return [
    ...routeKinds.flatMap((kind) => {
      if (kind === "bare") return [];
      const name = routeNames[kind];
      const isBounded = bounded.includes(kind);
      const added = (key: string, value: number): Metric =>
        isBounded ? atMost(key, value, "ms", addedMs) : told(key, value, "ms");
      return [
        added(`stream: first text p50 added, ${name}`, first[kind].p50 - first.bare.p50),
        told(`stream: first text p99 added, ${name}`, first[kind].p99 - first.bare.p99, "ms"),
        added(`stream: delay of a chunk p50 added, ${name}`, delay[kind].p50 - delay.bare.p50),
        ours.includes(kind)
          ? atMost(`stream: chunks merged or lost, ${name}`, taken[kind].amiss, "", 0)
          : told(`stream: chunks merged or lost, ${name}`, taken[kind].amiss, ""),
      ];
    }),
    told("stream: first text p50, bare", first.bare.p50, "ms"),
    told("stream: delay of a chunk p50, bare", delay.bare.p50, "ms"),
    told("stream: chunks merged or lost, bare", taken.bare.amiss, ""),
    told("stream: chunks sent to each", rounds * (shortPerRound * short.chunks + paced.chunks), ""),
  ];
}

const fresh = (): Taken => ({ firstMs: [], delaysMs: [], amiss: 0 });

const ours: readonly RouteKind[] = ["legacy", "checks", "mirror", "memory", "redis"];

/** When the first piece came, in milliseconds from asking. */
async function readOne(
  port: number,
  agent: Agent,
  question: Question,
  taken: Taken,
): Promise<number> {
  const startedMs = monotonicMs();
  let firstMs = 0;
  let whole = 0;
  const pieces = createUiPieces((text) => {
    if (firstMs === 0) firstMs = monotonicMs() - startedMs;
    const delay = age(text);
    if (delay === undefined) return;
    whole += 1;
    if (question.gapMs > 0) taken.delaysMs.push(delay);
  });
  await askChat({
    port,
    agent,
    body: streamBody(question),
    onPiece: (piece) => pieces.take(piece),
  });
  taken.amiss += Math.abs(question.chunks - whole) + (pieces.isDone ? 0 : 1);
  return firstMs;
}
