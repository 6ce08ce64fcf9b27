import { randomUUID } from "node:crypto";
import type { EventSink, FlagSource } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import {
  migrate,
  postgres,
  recordWriter,
  sqlFlags,
  sqlInstance,
  type SqlDatabase,
} from "@sluice/sql";
import type { KillSwitch } from "./kill-file.ts";

/** The control plane in a database: flags, the kill that every process sees, records. */
export interface SqlControl {
  readonly flags: FlagSource;
  readonly killSwitch: KillSwitch;
  readonly sink: EventSink;
  /** Writes what is pending, then lets go of the database. */
  close(): Promise<void>;
}

/**
 * Brings the tables up to date and names the feature, closed, where the table does not know it. While the
 * database can't be reached the feature stays closed and the safe path serves.
 */
export async function openSqlControl(
  connectionString: string,
  onProblem: (line: string) => void,
): Promise<SqlControl> {
  const db = postgres({ connectionString, applicationName: "chat-express" });
  try {
    await prepare(db);
  } catch (error) {
    onProblem(`DATABASE_URL: ${codeOf(error)}; chat_ai stays closed until its flags can be read`);
  }
  const flags = sqlFlags(db, {
    clock: systemClock,
    random: Math.random,
    variables: process.env,
  });
  const instance = sqlInstance(db, { clock: systemClock, id: randomUUID(), flags });
  const records = recordWriter(db, { clock: systemClock });
  let last: Promise<unknown> = Promise.resolve();
  return {
    flags,
    killSwitch: {
      write(killed) {
        const written = writeKill(last, db, killed);
        last = written.catch(() => undefined);
        return written;
      },
    },
    sink: records.sink,
    async close() {
      flags.close();
      await Promise.all([instance.close(), records.close()]);
      await db.close();
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
    ["chat_ai", killed],
  );
  if (affected !== 1) throw new Error("the table has no row of chat_ai");
}

async function prepare(db: SqlDatabase): Promise<void> {
  await migrate(db);
  await db.query("INSERT INTO feature_state (feature_name) VALUES ($1) ON CONFLICT DO NOTHING", [
    "chat_ai",
  ]);
}

/** A code, and no message: a message may hold the address. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "the database can't be used";
}
