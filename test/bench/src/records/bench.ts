import { migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { withOwnDatabase } from "../own-database.ts";
import { atLeast, atMost, told, type Metric } from "../result.ts";
import { percentiles } from "../stream/percentiles.ts";
import { contenders, type Contender, type Contenders } from "./contenders.ts";
import { startRoute } from "./route.ts";
import { serveFast, servePaced, type PacedPhase } from "./phases.ts";
import { sinkCost } from "./sink-cost.ts";

const rates = [500, 3000];
const names: readonly Contender[] = ["no writer", "writer", "awaited insert"];
/** The contenders serve in turn, so that all see the same machine; ten seconds each at each rate. */
const rounds = 5;
const roundMs = 2000;
const routeRounds = 9;
const routeSeconds = 2;
const fastRounds = 3;
const fastMs = 1000;

/** What writing generation records costs the process that serves. */
export async function benchRecords(): Promise<readonly Metric[]> {
  return withOwnDatabase(async (connectionString) => {
    const db = postgres({ connectionString });
    // Patient, because such inserts can't keep up with the higher rate on every machine.
    const patient = { connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 };
    const ofAwaited = postgres({ connectionString, poolSize: 20, ...patient });
    try {
      await migrate(db);
      return await measure(db, contenders(db, ofAwaited));
    } finally {
      await db.close();
      await ofAwaited.close();
    }
  });
}

async function measure(db: SqlDatabase, all: Contenders): Promise<readonly Metric[]> {
  const cost = await sinkCost(db);
  for (const name of names) await servePaced(all.serve[name], 1000, 500);
  const paced: Metric[] = [];
  for (const rate of rates) paced.push(...(await measureRate(all, rate)));
  await all.records.flush();
  const lost = cost.records + all.sent() - (await countRecords(db));
  const route = await measureRoute(all);
  const fast = await measureInProcess(all);
  await all.records.close();
  return [
    atMost("the sink's own time per record, p50", cost.p50, "ns", 1000),
    told("the sink's own time per record, p99", cost.p99, "ns"),
    ...paced,
    atMost("records lost at these rates", lost, "", 0),
    ...route,
    ...fast,
    atMost("failed calls", all.failed(), "", 0),
  ];
}

async function measureRate(all: Contenders, rate: number): Promise<readonly Metric[]> {
  const phases: Record<Contender, PacedPhase[]> = {
    "no writer": [],
    writer: [],
    "awaited insert": [],
  };
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) {
      phases[name].push(await servePaced(all.serve[name], rate, roundMs));
      // What is written afterwards is nobody else's delay.
      await all.records.flush();
    }
  }
  const of = (name: Contender, figure: (phase: PacedPhase) => number): number =>
    median(phases[name].map(figure));
  const added = (name: Contender): number =>
    of(name, ({ delayP99Ms }) => delayP99Ms) - of("no writer", ({ delayP99Ms }) => delayP99Ms);
  const cpu = (name: Contender): number => of(name, ({ cpuUs, served }) => cpuUs / served);
  const title = `${rate} a second`;
  return [
    told(
      `${title}: event loop late p99, no writer`,
      of("no writer", (p) => p.delayP99Ms),
      "ms",
    ),
    told(`${title}: added by the writer`, added("writer"), "ms"),
    told(`${title}: added by an awaited insert`, added("awaited insert"), "ms"),
    told(
      `${title}: request p50, writer`,
      of("writer", (p) => p.requestP50Ms),
      "ms",
    ),
    told(
      `${title}: request p50, awaited insert`,
      of("awaited insert", (p) => p.requestP50Ms),
      "ms",
    ),
    told(
      `${title}: request p99, writer`,
      of("writer", (p) => p.requestP99Ms),
      "ms",
    ),
    told(
      `${title}: request p99, awaited insert`,
      of("awaited insert", (p) => p.requestP99Ms),
      "ms",
    ),
    told(`${title}: CPU per request added by the writer`, cpu("writer") - cpu("no writer"), "µs"),
    told(
      `${title}: CPU per request added by an awaited insert`,
      cpu("awaited insert") - cpu("no writer"),
      "µs",
    ),
  ];
}

async function measureRoute(all: Contenders): Promise<readonly Metric[]> {
  const route = await startRoute({ none: () => undefined, writer: all.records.sink });
  const droppedBefore = all.records.dropped();
  const without: number[] = [];
  const ratios: number[] = [];
  let failed = 0;
  // The first round warms up.
  for (let round = 0; round <= routeRounds; round += 1) {
    // Who goes first changes, so that neither always meets the cooler machine.
    const order = round % 2 === 0 ? ["none", "writer"] : ["writer", "none"];
    const perSecond: Record<string, number> = {};
    for (const path of order) {
      const load = await route.load(path, routeSeconds);
      await all.records.flush();
      perSecond[path] = load.perSecond;
      failed += load.failed;
    }
    const { none = 0, writer = 0 } = perSecond;
    if (round === 0) continue;
    without.push(none);
    ratios.push(writer / none);
  }
  route.close();
  return [
    told("Express route, as fast as possible: no writer", median(without), "requests/s"),
    atLeast("Express route: writer / no writer", median(ratios), "×", 0.98),
    told("Express route: failed requests", failed, ""),
    atMost("Express route: records dropped", all.records.dropped() - droppedBefore, "", 0),
  ];
}

/** Without HTTP, where a request costs next to nothing and each microsecond shows. */
async function measureInProcess(all: Contenders): Promise<readonly Metric[]> {
  const without: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < fastRounds; round += 1) {
    const none = await serveFast(all.serve["no writer"], fastMs);
    const writer = await serveFast(all.serve.writer, fastMs);
    await all.records.flush();
    without.push(none);
    ratios.push(writer / none);
  }
  return [
    told("guard alone, as fast as possible: no writer", median(without), "requests/s"),
    told("guard alone: writer / no writer", median(ratios), "×"),
  ];
}

async function countRecords(db: SqlDatabase): Promise<number> {
  const { rows } = await db.query<{ readonly n: number }>(
    `SELECT count(*)::integer AS n FROM ai_training_examples
     WHERE requested_provider IS DISTINCT FROM 'awaited'`,
  );
  return rows[0]?.n ?? 0;
}

function median(values: readonly number[]): number {
  return percentiles(values).p50;
}
