import { createGuard, systemClock, type Guard } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { migrate, postgres, sqlFlags, type SqlDatabase } from "@sluice/sql";
import {
  postgresAnswers,
  postgresForTests,
  runPsql,
  sampleAnswer,
  sampleFeature,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const feature = "p3_advisory";
const names = { prefix: "p3_" };
/** The operator's whole contract, word for word. */
const shut =
  "UPDATE p3_feature_state SET enabled = false, rollout_percent = 0 WHERE feature_name = 'p3_advisory';";
const widened = (percent: number): string =>
  `UPDATE p3_feature_state SET enabled = true, rollout_percent = ${percent} WHERE feature_name = 'p3_advisory';`;

type Advisory = Guard<SampleJob, unknown, unknown, unknown>;

/** One process of the fleet: connections, flags and a guard of its own. */
async function startMember(connectionString: string) {
  const db = postgres({ connectionString });
  const flags = sqlFlags(db, { clock: systemClock, random: Math.random, exclusive: true, names });
  await flags.ready();
  const guard: Advisory = createGuard({
    ...sampleFeature,
    feature,
    provider: functionProvider<SampleJob>(() => Promise.resolve(sampleAnswer)),
    flags,
  });
  const stop = async (): Promise<void> => {
    guard.close();
    flags.close();
    await db.close();
  };
  return { guard, stop };
}

async function setUp() {
  const { connectionString, drop } = postgresForTests();
  onTestFinished(drop);
  const db: SqlDatabase = postgres({ connectionString });
  await migrate(db, { names });
  await db.query("INSERT INTO p3_feature_state (feature_name) VALUES ($1)", [feature]);
  await db.exec("CREATE TABLE orders (id integer); INSERT INTO orders VALUES (1)");
  await db.close();
  return connectionString;
}

/** What the isolation proof looks at: tables that are not ours. */
const foreignWrites = (connectionString: string): string =>
  runPsql(
    connectionString,
    "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE relname NOT LIKE 'p3\\_%' ORDER BY 1",
  );

async function serve(guard: Advisory, calls: number): Promise<readonly string[]> {
  return Promise.all(
    Array.from({ length: calls }, async (_, i) => {
      const outcome = await guard.run({ prompt: "hi" }, { subject: `user-${i}` });
      return outcome.status;
    }),
  );
}

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `a fleet on one table${skipped ? " (skipped: no server answers psql)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 30_000 }, () => {
  it("is shut by one statement from psql: in every process, with no error", async () => {
    const connectionString = await setUp();
    const fleet = await Promise.all([1, 2, 3].map(() => startMember(connectionString)));
    onTestFinished(async () => {
      for (const { stop } of fleet) await stop();
    });
    runPsql(connectionString, widened(100));
    for (const { guard } of fleet) {
      await vi.waitFor(async () => expect(await serve(guard, 1)).toEqual(["SUCCEEDED"]), 4000);
    }

    runPsql(connectionString, shut);
    for (const { guard } of fleet) {
      await vi.waitFor(async () => expect(await serve(guard, 1)).toEqual(["STUBBED"]), 4000);
      expect(new Set(await serve(guard, 50))).toEqual(new Set(["STUBBED"]));
    }
  });

  it("writes no row of anybody else's while it is opened and shut under load", async () => {
    const connectionString = await setUp();
    const before = foreignWrites(connectionString);
    expect(before).toBe("orders|1|0|0");
    const { guard, stop } = await startMember(connectionString);
    for (const percent of [0, 5, 25, 100, 25, 0]) {
      runPsql(connectionString, percent === 0 ? shut : widened(percent));
      await vi.waitFor(() => expect(guard.describe().percent).toBe(percent), 4000);
      const statuses = await serve(guard, 200);
      const letIn = statuses.filter((status) => status === "SUCCEEDED").length;
      expect(letIn === 0).toBe(percent === 0);
      expect(statuses).not.toContain("FAILED");
    }
    // A server process tells what it wrote when it ends, at the latest.
    await stop();
    expect(foreignWrites(connectionString)).toBe(before);

    runPsql(connectionString, "UPDATE orders SET id = 2");
    await vi.waitFor(() => expect(foreignWrites(connectionString)).toBe("orders|1|1|0"), 4000);
  });
});
