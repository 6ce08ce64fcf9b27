import { fileURLToPath } from "node:url";
import { migrate, postgres, type SqlDatabase } from "@sluice/sql";
import {
  postgresAnswers,
  postgresForTests,
  seededRandom,
  startProcess,
  type RunningProcess,
  type TestPostgres,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startDatabaseProxy } from "./record-writer-proxy.ts";

const program = fileURLToPath(new URL("record-writer-process.ts", import.meta.url));

function startWriter(connectionString: string, run: string): RunningProcess {
  const writer = startProcess(program, { args: [connectionString, run] });
  onTestFinished(async () => void (await writer.kill()));
  return writer;
}

/** The number of the last line that starts with the word. */
function last(writer: RunningProcess, word: string): number {
  const lines = [...writer.stdout.matchAll(new RegExp(`^${word} (\\d+)\\n`, "gm"))];
  return Number(lines.at(-1)?.[1]);
}

const reports = (writer: RunningProcess): string[] =>
  [...writer.stdout.matchAll(/^report (\w+)/gm)].map(([, state = ""]) => state);

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, id) => id);

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `a process that writes records${skipped ? " (skipped: no server answers psql)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 60_000 }, () => {
  let server: TestPostgres;
  let db: SqlDatabase;

  beforeAll(async () => {
    server = postgresForTests();
    db = postgres({ connectionString: server.connectionString });
    await migrate(db);
  }, 60_000);
  afterAll(async () => {
    await db.close();
    server.drop();
  });

  /** The numbers of the rows that a run has written, in order; one that is there twice stands there twice. */
  const written = async (run: string): Promise<readonly number[]> => {
    const { rows } = await db.query<{ id: number }>(
      `SELECT substr(request_id, length($1) + 2)::integer AS id FROM ai_training_examples
       WHERE starts_with(request_id, $1 || '-') ORDER BY 1`,
      [run],
    );
    return rows.map(({ id }) => id);
  };

  /** Starts five, and sends each a signal at a moment of its own. */
  const endAtRandom = <Result>(
    signal: NodeJS.Signals,
    seed: number,
    check: (writer: RunningProcess, run: string) => Promise<Result>,
  ): Promise<readonly Result[]> => {
    const random = seededRandom(seed);
    const moments = [1, 2, 3, 4, 5].map(() => 5 * random.integer(10, 120));
    return Promise.all(
      moments.map(async (moment) => {
        const run = `${signal}-${moment}`;
        const writer = startWriter(server.connectionString, run);
        await writer.printed(new RegExp(`^sent ${moment}$`, "m"));
        writer.signal(signal);
        await writer.ended;
        return check(writer, run);
      }),
    );
  };

  it("has written every row, once, when SIGTERM has ended it", async () => {
    await endAtRandom("SIGTERM", 1, async (writer, run) => {
      expect(await writer.ended, run).toEqual({ code: 0, signal: null });
      expect(await written(run), run).toEqual(upTo(last(writer, "last")));
      expect(last(writer, "dropped"), run).toBe(0);
      expect(writer.stderr, run).toBe("");
    });
  });

  it("has written every row that was acknowledged, and none twice, when it is killed", async () => {
    const acknowledged = await endAtRandom("SIGKILL", 2, async (writer, run) => {
      expect((await writer.ended).signal, run).toBe("SIGKILL");
      const rows = await written(run);
      expect(rows.length, run).toBeGreaterThanOrEqual(last(writer, "safe"));
      expect(rows, run).toEqual(upTo(rows.length));
      return last(writer, "safe");
    });
    expect(Math.max(...acknowledged)).toBeGreaterThan(0);
  });

  it("loses and repeats no row when the database vanishes under it, and says so once", async () => {
    const proxy = await startDatabaseProxy(server.connectionString);
    onTestFinished(() => proxy.close());
    const run = "outage";
    const writer = startWriter(proxy.connectionString, run);
    await writer.printed(/^safe [1-9]/m);
    // What the server wrote last is written, and the process can't know it.
    await proxy.loseAnswer();
    await proxy.cut();
    await writer.printed(/^report away/m);
    const sent = last(writer, "sent");
    await writer.printed(new RegExp(`^sent ${sent + 500}$`, "m"));
    expect(last(writer, "safe")).toBeLessThanOrEqual(sent);
    await proxy.restore();
    await writer.printed(/^report written/m);
    await writer.printed(/^report written[^]*^safe/m);
    writer.signal("SIGTERM");
    expect(await writer.ended).toEqual({ code: 0, signal: null });
    expect(await written(run)).toEqual(upTo(last(writer, "last")));
    expect(last(writer, "dropped")).toBe(0);
    expect(reports(writer)).toEqual(["away", "written"]);
  });
});
