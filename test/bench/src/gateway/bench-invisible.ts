import { Agent } from "node:http";
import { setTimeout } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { atMost, told, type Metric } from "../result.ts";
import { percentiles } from "../stream/percentiles.ts";
import { askChat, type Answered } from "./ask-chat.ts";
import { middle } from "./middle.ts";
import { streamBody, wholeBody, type Question } from "./question.ts";
import type { FailingKind } from "./route-kinds.ts";
import { scaled } from "./scale.ts";
import { signFlips } from "./sign-flips.ts";
import type { Route, Surroundings } from "./start-routes.ts";

const blocks = scaled(40);
/** Of them every fifth is a stream. It takes longer than a shadow keeps back what it does. */
const perBlock = 50;
const pairs = blocks * perBlock;
/** What a block left to the shadow ends before the next begins. */
const restMs = 120;
const warmUpBlocks = 10;

const kinds = ["mirror", "provider hangs", "store hangs", "all throws"] as const;
const names: Readonly<Record<"mirror" | FailingKind, string>> = {
  mirror: "shadow on",
  "provider hangs": "shadow on, its provider hangs",
  "store hangs": "shadow on, its store hangs",
  "all throws": "shadow on, all of it throws",
};

type Block = readonly Answered[];

/** The same requests with the shadow off and on, of one process, in blocks that take turns. */
export async function benchInvisible(surroundings: Surroundings): Promise<readonly Metric[]> {
  const metrics: Metric[] = [];
  for (const kind of kinds) {
    const route = await surroundings.start(kind);
    metrics.push(...(await compare(route, names[kind])));
    route.stop();
  }
  return metrics;
}

async function compare(route: Route, name: string): Promise<readonly Metric[]> {
  const agent = new Agent({ keepAlive: true });
  const off: Block[] = [];
  const on: Block[] = [];
  for (let block = -warmUpBlocks; block < blocks; block += 1) {
    const order =
      block % 2 === 0 ? (["legacy", "shadow"] as const) : (["shadow", "legacy"] as const);
    for (const stage of order) {
      await route.setStage(stage);
      await setTimeout(restMs);
      const answers = await askBlock(route.port, agent, block);
      if (block >= 0) (stage === "legacy" ? off : on).push(answers);
    }
  }
  const { shadow } = await route.figures();
  agent.destroy();

  const paired = off.flat().flatMap((one, at) =>
    on
      .flat()
      .slice(at, at + 1)
      .map((two) => [one, two] as const),
  );
  const [offMs, onMs] = [off, on].map((all) => all.flat().map(({ latencyMs }) => latencyMs));
  const medians = (all: readonly Block[]): number[] =>
    all.map((block) => middle(block.map(({ latencyMs }) => latencyMs)));
  const [offMedians, onMedians] = [medians(off), medians(on)];
  const added = offMedians.map((ms, at) => (onMedians[at] ?? 0) - ms);
  const noise = offMedians.slice(1).map((ms, at) => ms - (offMedians[at] ?? 0));
  const slower = paired.filter(([one, two]) => two.latencyMs > one.latencyMs).length;
  const figures = { off: percentiles(offMs ?? []), on: percentiles(onMs ?? []) };
  const key = (figure: string): string => `${name}: ${figure}`;
  return [
    told(key("pairs"), paired.length, ""),
    atMost(key("pairs that differ in a byte"), paired.filter(differ).length, "", 0),
    told(key("p50, off"), figures.off.p50, "ms"),
    told(key("p50, on"), figures.on.p50, "ms"),
    told(key("p99, off"), figures.off.p99, "ms"),
    told(key("p99, on"), figures.on.p99, "ms"),
    atMost(
      key("median of a block added; bound: what two blocks without it differ by"),
      middle(added),
      "ms",
      Number(middle(noise.map(Math.abs)).toPrecision(3)),
    ),
    told(key("p by sign flips of blocks"), signFlips(added, Math.random), ""),
    told(key("p of two blocks without it"), signFlips(noise, Math.random), ""),
    told(key("pairs slower with it"), (slower / pairs) * 100, "%"),
    told(key("requests that the shadow left alone"), shadow.skipped, ""),
    told(key("requests it waits for still"), shadow.watched, ""),
  ];
}

const differ = ([one, two]: readonly [Answered, Answered]): boolean =>
  one.status !== two.status ||
  !isDeepStrictEqual(one.headers, two.headers) ||
  !one.body.equals(two.body);

async function askBlock(port: number, agent: Agent, block: number): Promise<Block> {
  const answers: Answered[] = [];
  for (let i = 0; i < perBlock; i += 1) {
    const question: Question = { chunks: 5, gapMs: 0, says: `answer ${block}.${i}` };
    const body = i % 5 === 4 ? streamBody(question) : wholeBody(question);
    answers.push(await askChat({ port, agent, body }));
  }
  return answers;
}
