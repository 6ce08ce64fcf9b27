import type { SqlQuery } from "./database.ts";

/** The one session of PGlite, as the connections of its socket share it with the app. */
export interface PgliteSession {
  /** Waits for its turn; nobody else's statement runs until the returned function is called. */
  take(): Promise<() => void>;
  /** The three below only in one's turn. */
  readonly query: SqlQuery;
  exec(script: string): Promise<void>;
  /** Messages of PostgreSQL's protocol, and the answer's. */
  raw(messages: Uint8Array): Promise<Uint8Array>;
}
