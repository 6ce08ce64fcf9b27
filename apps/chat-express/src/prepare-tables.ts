import { ConfigError, type Clock } from "@sluice/contract";
import { migrate, readMigrations } from "@sluice/sql";
import type { ControlDatabase } from "./control-database.ts";
import { codeOf } from "./error-code.ts";

/** Between two tries: at first, and at most; ± 20 %, so that a fleet does not come back as one. */
const firstDelayMs = 500;
const maxDelayMs = 30_000;

export interface PrepareTablesOptions {
  readonly clock: Clock;
  /** From 0, inclusive, to 1. */
  readonly random: () => number;
  /** Told once per change: why it could not be done, and that it was done after all. */
  readonly onChange: (line: string) => void;
}

export interface TablesPreparation {
  /** Whether the first try did it. */
  readonly isPrepared: boolean;
  /** Ends the tries; one that is under way goes on alone. */
  stop(): void;
}

/**
 * Brings the tables up to date and names the feature, closed, where the table does not know it. Resolves after
 * the first try; where that fails it is tried again until it is done. Meanwhile whatever can be read is obeyed:
 * else the feature is closed, and the safe path serves.
 * @throws ConfigError where another process has the folder
 */
export async function prepareTables(
  database: ControlDatabase,
  options: PrepareTablesOptions,
): Promise<TablesPreparation> {
  const { db, variable } = database;
  const { clock, random, onChange } = options;
  let told: string | undefined;
  let delayMs = firstDelayMs;
  let cancel: (() => void) | undefined;
  let stopped = false;

  const fail = (error: unknown): void => {
    const why = ConfigError.isInstance(error) ? error.message : codeOf(error);
    if (why !== told && !stopped) {
      onChange(`${variable}: ${why}; chat_ai stays closed until its flags can be read`);
    }
    told = why;
  };
  const later = (): void => {
    if (stopped) return;
    cancel = clock.after(delayMs * (0.8 + 0.4 * random()), () => void again());
    delayMs = Math.min(2 * delayMs, maxDelayMs);
  };
  const again = async (): Promise<void> => {
    try {
      await prepare(db);
      if (!stopped) onChange(`${variable}: the tables are ready`);
    } catch (error) {
      fail(error);
      later();
    }
  };

  try {
    await prepare(db);
  } catch (error) {
    if (variable === "SLUICE_FOLDER" && ConfigError.isInstance(error)) throw error;
    fail(error);
    later();
  }
  return {
    isPrepared: told === undefined,
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}

/** Looks first: a role that may only read and write needs no right to create. */
async function prepare(db: ControlDatabase["db"]): Promise<void> {
  const { missing, differing } = await readMigrations(db);
  if (missing.length + differing.length > 0) await migrate(db);
  const { rows } = await db.query("SELECT FROM feature_state WHERE feature_name = $1", ["chat_ai"]);
  if (rows.length > 0) return;
  await db.query("INSERT INTO feature_state (feature_name) VALUES ($1) ON CONFLICT DO NOTHING", [
    "chat_ai",
  ]);
}
