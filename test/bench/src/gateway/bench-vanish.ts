import { setTimeout } from "node:timers/promises";
import { atMost, told, type Metric } from "../result.ts";
import { seeded } from "./seeded.ts";
import type { RouteFigures } from "./route-figures.ts";
import { routeNames, type RouteKind } from "./route-kinds.ts";
import { scaled } from "./scale.ts";
import type { Route, Surroundings } from "./start-routes.ts";
import { runChats, type ChatEndings, type Crowd } from "./vanishing-chats.ts";

const crowds: readonly Crowd[] = [
  { count: 500, question: { chunks: 10, gapMs: 100, says: "a word or two, number" }, rampMs: 600 },
  {
    count: 2500,
    question: { chunks: 10, gapMs: 250, says: "a word or two, number" },
    rampMs: 2500,
  },
];
const rounds = scaled(3);
const settleMs = 3000;
const pollMs = 100;
/** From after the first round to after the last. */
const maxGrowthPercent = 10;

/** Very many chats at once, a tenth of whose clients vanish. */
export async function benchVanish(surroundings: Surroundings): Promise<readonly Metric[]> {
  const metrics: Metric[] = [];
  for (const kind of ["memory", "redis"] as const) {
    const route = await surroundings.start(kind);
    for (const crowd of crowds) metrics.push(...(await crowded(surroundings, route, kind, crowd)));
    route.stop();
  }
  return metrics;
}

async function crowded(
  surroundings: Surroundings,
  route: Route,
  kind: RouteKind,
  crowd: Crowd,
): Promise<readonly Metric[]> {
  const random = seeded(crowd.count);
  const sum: ChatEndings = { whole: 0, vanished: 0, amiss: 0 };
  const full: RouteFigures[] = [];
  const after: RouteFigures[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const ended = await runChats(route.port, crowd, random, async () => {
      full.push(await route.figures());
      await surroundings.letGo();
    });
    for (const ending of ["whole", "vanished", "amiss"] as const) sum[ending] += ended[ending];
    after.push(await settled(route));
  }
  const [start, middle, end] = [after[0], after[after.length >> 1], after.at(-1)];
  if (start === undefined || middle === undefined || end === undefined) return [];
  const key = (figure: string): string =>
    `${crowd.count} chats at once, ${routeNames[kind]}: ${figure}`;
  return [
    told(key("chats"), sum.whole + sum.vanished + sum.amiss, ""),
    told(key("clients that vanished"), sum.vanished, ""),
    told(key("places held at the height"), Math.max(...full.map((one) => one.places)), ""),
    atMost(key("others without all text and its end"), sum.amiss, "", 0),
    atMost(key("decisions held afterwards"), Math.max(...after.map((one) => one.inFlight)), "", 0),
    atMost(key("places held afterwards"), Math.max(...after.map((one) => one.places)), "", 0),
    atMost(key("upstream calls left open"), await surroundings.upstreamCalls(), "", 0),
    told(key("held memory, start"), mib(start.heldBytes), "MiB"),
    told(key("held memory, middle"), mib(middle.heldBytes), "MiB"),
    told(key("held memory, end"), mib(end.heldBytes), "MiB"),
    told(key("resident memory, start"), mib(start.residentBytes), "MiB"),
    told(key("resident memory, middle"), mib(middle.residentBytes), "MiB"),
    told(key("resident memory, end"), mib(end.residentBytes), "MiB"),
    atMost(
      key("held memory grown from start to end"),
      (end.heldBytes / start.heldBytes - 1) * 100,
      "%",
      maxGrowthPercent,
    ),
  ];
}

const mib = (bytes: number): number => bytes / 1024 ** 2;

/** Once nothing is held, or it has had its time. */
async function settled(route: Route): Promise<RouteFigures> {
  const untilMs = performance.now() + settleMs;
  for (;;) {
    await setTimeout(pollMs);
    const figures = await route.figures();
    const isQuiet = figures.inFlight === 0 && figures.places === 0;
    if (isQuiet || performance.now() > untilMs) return figures;
  }
}
