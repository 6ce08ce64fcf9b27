import { afterAll, afterEach, beforeEach, describe } from "vitest";
import { postgresAnswers, postgresForTests } from "./test-postgres.ts";

/** For one test that starts PGlite on a busy machine. */
const TIMEOUT_MS = 60_000;

interface Closable {
  close(): Promise<void>;
}

export interface DatabaseOpeners<Database extends Closable> {
  readonly postgres: (connectionString: string) => Database | Promise<Database>;
  readonly pglite: () => Database | Promise<Database>;
}

/**
 * Runs a suite on PostgreSQL and on PGlite. What a test opens is empty, its own, and closed (on
 * PostgreSQL dropped too) when the test ends; what `beforeAll` opens, when the suite ends. Where no
 * server answers, the PostgreSQL half is skipped, but fails where `CI` is `true`. PGlite takes seconds
 * to start: tests that can share a database open it in `beforeAll`.
 */
export function describeOnDatabases<Database extends Closable>(
  name: string,
  openers: DatabaseOpeners<Database>,
  suite: (open: () => Promise<Database>) => void,
): void {
  const skipped = process.env["CI"] !== "true" && !postgresAnswers();
  const title = `${name} on PostgreSQL${skipped ? " (skipped: no server answers psql)" : ""}`;

  // oxlint-disable-next-line vitest/valid-title -- the suite's name is an argument
  describe.skipIf(skipped)(title, { timeout: TIMEOUT_MS }, () => {
    const endAfter = untilTheEnd();
    suite(async () => {
      const { connectionString, drop } = postgresForTests();
      endAfter(drop);
      const database = await openers.postgres(connectionString);
      endAfter(() => database.close());
      return database;
    });
  });

  describe(`${name} on PGlite`, { timeout: TIMEOUT_MS }, () => {
    const endAfter = untilTheEnd();
    suite(async () => {
      const database = await openers.pglite();
      endAfter(() => database.close());
      return database;
    });
  });
}

type End = () => void | Promise<void>;

/** What is handed to the result ends with the test, or with the suite when no test runs yet. */
function untilTheEnd(): (end: End) => void {
  const ofSuite: End[] = [];
  const ofTest: End[] = [];
  let inTest = false;
  beforeEach(() => {
    inTest = true;
  });
  afterEach(async () => {
    inTest = false;
    await endAll(ofTest);
  });
  afterAll(() => endAll(ofSuite));
  return (end) => void (inTest ? ofTest : ofSuite).push(end);
}

async function endAll(open: End[]): Promise<void> {
  // The newest first: a database is closed before it is dropped.
  for (const end of open.splice(0).toReversed()) await end();
}
