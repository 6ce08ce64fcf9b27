import { randomUUID } from "node:crypto";
import type { EventSink, FlagSource, MetricSink, RouteSource } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import {
  latencyRollup,
  metricWindows,
  recordWriter,
  sqlFlags,
  sqlInstance,
  sqlRoutes,
  type SqlDatabase,
} from "@sluice/sql";
import type { KillSwitch } from "./kill-switch.ts";
import { recentFigures, type RecentFigures } from "./recent-figures.ts";
import { troubleLines } from "./trouble-lines.ts";

/** The control plane in a database. */
export interface SqlControl {
  /** This process among those of the fleet. */
  readonly instance: string;
  readonly flags: FlagSource;
  readonly routes: RouteSource;
  /** The kill that every process sees. */
  readonly killSwitch: KillSwitch;
  /** Writes generation records. */
  readonly sink: EventSink;
  readonly metrics: MetricSink;
  readonly figures: () => Promise<RecentFigures>;
  /** Resolves once flags and routes were read first, or after 10 s without. */
  ready(): Promise<void>;
  /** Writes what is pending; the database stays open. */
  close(): Promise<void>;
}

export interface SqlControlOptions {
  /** Of `ai_provider_configs`. */
  readonly environment: string;
  /** Those that the app has, the default first; the route until the table was read. */
  readonly providers: readonly string[];
  /** Told once per change, and never per request. */
  readonly onProblem: (line: string) => void;
}

const feature = "chat_ai";

/** While the database can't be reached the feature is closed and the safe path serves. */
export function sqlControl(db: SqlDatabase, options: SqlControlOptions): SqlControl {
  const { environment, providers } = options;
  const own = { clock: systemClock, random: Math.random };
  const id = randomUUID();
  const tell = troubleLines(options.onProblem);

  const flags = sqlFlags(db, { ...own, variables: process.env });
  const routes = sqlRoutes(db, {
    ...own,
    environment,
    providers,
    initial: providers.map((provider, i) => ({ provider, environment, isDefault: i === 0 })),
  });
  const instance = sqlInstance(db, {
    clock: systemClock,
    instanceId: id,
    flags,
    onProblem: (problem) => tell("sluice_instances", problem),
  });
  const records = recordWriter(db, {
    ...own,
    onProblem: (problem) => tell("ai_training_examples", problem),
  });
  const windows = metricWindows(db, {
    ...own,
    instanceId: id,
    onProblem: (problem) => tell("metric_windows", problem),
  });
  const rollup = latencyRollup(db, {
    ...own,
    onProblem: (problem) => tell("latency_hours", problem),
  });

  let last: Promise<unknown> = Promise.resolve();
  return {
    instance: id,
    flags,
    routes,
    killSwitch: {
      write(killed) {
        const written = writeKill(last, db, killed);
        last = written.catch(() => undefined);
        return written;
      },
    },
    sink: records.sink,
    metrics: windows.sink,
    figures: () => recentFigures(db, feature),
    async ready() {
      // A database that is waited for does not keep the process.
      const alive = setInterval(() => undefined, 1000);
      await Promise.all([flags.ready(), routes.ready()]);
      clearInterval(alive);
    },
    async close() {
      flags.close();
      routes.close();
      await Promise.all([instance.close(), records.close(), windows.close(), rollup.close()]);
    },
  };
}

async function writeKill(
  before: Promise<unknown>,
  db: SqlDatabase,
  killed: boolean,
): Promise<void> {
  await before;
  const { affected } = await db.query(
    "UPDATE feature_state SET killed = $2 WHERE feature_name = $1",
    [feature, killed],
  );
  if (affected !== 1) throw new Error("the table has no row of chat_ai");
}
