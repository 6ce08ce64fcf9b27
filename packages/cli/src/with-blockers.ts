import type { Clock } from "@sluice/contract";
import { readBlockers, type Blocker, type SqlDatabase } from "@sluice/sql";
import type { Session } from "./cli-context.ts";

/** A change got no lock in time; nothing was written. */
export class BlockedError extends Error {
  /** At least one, the longest transaction first. */
  readonly blockers: readonly [Blocker, ...Blocker[]];

  constructor(blockers: readonly [Blocker, ...Blocker[]], cause: unknown) {
    super("no lock in time", { cause });
    this.name = "BlockedError";
    this.blockers = blockers;
  }
}

const lookMs = 250;
/** No lock in the time that a lock, or a statement, may take. */
const givenUp: ReadonlySet<unknown> = new Set(["55P03", "57014"]);

/**
 * Does some work; while one of its transactions waits, asks on another connection who blocks it, which
 * nobody can tell any more once it has given up.
 * @throws {BlockedError} where it gave up, and somebody was seen to block it.
 */
export async function withBlockers<Result>(
  session: Session,
  clock: Clock,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  let pid: number | undefined;
  // Of the last two looks: the last may have come after it gave up, and an older one tells of another lock.
  let seen: readonly (readonly Blocker[])[] = [];
  let looking = false;

  const db: SqlDatabase = {
    ...session.db,
    async transaction(run, options) {
      try {
        return await session.db.transaction(async (query) => {
          const { rows } = await query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
          [pid, seen] = [rows[0]?.pid, []];
          return run(query);
        }, options);
      } finally {
        // Somebody may be asked now, who takes his time.
        pid = undefined;
      }
    },
  };
  const look = async (): Promise<void> => {
    if (pid === undefined || looking) return;
    looking = true;
    try {
      const found = await readBlockers(session.db, { pid });
      seen = [found, ...seen.slice(0, 1)];
    } catch {
      // A server without a connection to spare, say: then nobody is named.
    }
    looking = false;
  };

  // An embedded database has one connection: nobody else can hold a lock, and there is none to ask on.
  const stop =
    session.db.kind === "postgres" ? clock.every(lookMs, () => void look()) : () => undefined;
  try {
    return await work({ ...session, db });
  } catch (error) {
    const [first, ...others] = seen.find((found) => found.length > 0) ?? [];
    if (first === undefined || !givenUp.has((error as { code?: unknown }).code)) throw error;
    throw new BlockedError([first, ...others], error);
  } finally {
    stop();
  }
}
