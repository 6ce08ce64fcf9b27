import { setTimeout } from "node:timers/promises";
import { migrate, postgres } from "@sluice/sql";
import { withOwnDatabase } from "../own-database.ts";
import { atMost, told, type Metric } from "../result.ts";
import { percentiles } from "../stream/percentiles.ts";
import { startFleet, type Turn } from "./fleet.ts";
import { momentMs } from "./moment-ms.ts";
import { startOperator, type Operator } from "./operator.ts";
import { startProxy, type Proxy } from "./start-proxy.ts";

const processes = 8;

const where = "WHERE feature_name = 'p3_advisory'";
const shut = `UPDATE p3_feature_state SET enabled = false, rollout_percent = 0 ${where}`;
const open = `UPDATE p3_feature_state SET enabled = true, rollout_percent = 100 ${where}`;

interface Surroundings {
  readonly operator: Operator;
  readonly proxy: Proxy;
}

interface Way {
  readonly title: string;
  readonly kills: number;
  readonly boundMs: number;
  readonly listen: boolean;
  /** At most; not in step with anybody's poll. */
  readonly pauseMs: number;
  /** Before each kill, untimed. */
  readonly prepare?: (surroundings: Surroundings) => void | Promise<void>;
  /** What shuts the feature; timed. Default: the one UPDATE. */
  readonly kill?: (surroundings: Surroundings) => void | Promise<void>;
  /** After each kill, untimed. */
  readonly mend?: (surroundings: Surroundings) => void;
}

const ways: readonly Way[] = [
  { title: "by NOTIFY", kills: 200, boundMs: 100, listen: true, pauseMs: 50 },
  { title: "by polling alone", kills: 25, boundMs: 2000, listen: false, pauseMs: 1000 },
  {
    title: "what listens black-holed",
    kills: 10,
    boundMs: 2000,
    listen: true,
    pauseMs: 1000,
    async prepare({ proxy }) {
      await proxy.listening(processes);
      proxy.swallowListening();
    },
    mend: ({ proxy }) => proxy.restore(),
  },
  {
    title: "the database gone",
    kills: 10,
    // Flags are believed for 5 s after they were read last, and calls in flight are looked at each 50 ms.
    boundMs: 5050,
    listen: true,
    pauseMs: 1000,
    prepare: ({ proxy }) => proxy.listening(processes),
    kill: ({ proxy }) => proxy.swallowAll(),
    mend: ({ proxy }) => proxy.restore(),
  },
];

/**
 * From the moment that psql is given the UPDATE to the first refused call of the last of eight processes
 * that serve load: it counts psql, the commit and the way there, so it is more than from the commit on.
 * Where the database is gone there is no UPDATE, and it counts from then.
 */
export function benchKill(): Promise<readonly Metric[]> {
  return withOwnDatabase(async (connectionString) => {
    const db = postgres({ connectionString });
    await migrate(db, { names: { prefix: "p3_" } });
    await db.query("INSERT INTO p3_feature_state (feature_name) VALUES ($1)", ["p3_advisory"]);
    await db.close();
    const metrics: Metric[] = [];
    for (const way of ways) metrics.push(...(await measure(new URL(connectionString), way)));
    return [...metrics, told("processes", processes, "")];
  });
}

async function measure(server: URL, way: Way): Promise<readonly Metric[]> {
  const operator = startOperator(server.href);
  const proxy = await startProxy(server);
  const surroundings = { operator, proxy };
  const { prepare, kill = () => operator.run(shut), mend } = way;
  await operator.run(shut);
  // Straight to the server where nothing is to happen on the way.
  const url = mend === undefined ? server.href : proxy.url;
  const fleet = startFleet({ url, size: processes, listen: way.listen });
  const taken: number[] = [];
  let last: readonly Turn[] = [];
  try {
    await fleet.all(false);
    for (let round = 0; round < way.kills; round += 1) {
      const opened = fleet.all(true);
      await operator.run(open);
      await opened;
      await setTimeout(50 + Math.random() * way.pauseMs);
      await prepare?.(surroundings);
      const refused = fleet.all(false);
      const givenMs = momentMs();
      await kill(surroundings);
      last = await refused;
      taken.push(Math.max(...last.map(({ atMs }) => atMs)) - givenMs);
      mend?.(surroundings);
    }
  } finally {
    fleet.stop();
    proxy.close();
    operator.close();
  }
  const { title } = way;
  const { p50, p99, max } = percentiles(taken);
  return [
    told(`${title}: p50`, p50, "ms"),
    atMost(`${title}: p99`, p99, "ms", way.boundMs),
    told(`${title}: at most`, max, "ms"),
    told(`${title}: kills`, taken.length, ""),
    told(`${title}: calls served`, sum(last, "served"), ""),
    atMost(`${title}: failed calls`, sum(last, "errors"), "", 0),
  ];
}

const sum = (turns: readonly Turn[], of: "served" | "errors"): number =>
  turns.reduce((total, turn) => total + turn[of], 0);
