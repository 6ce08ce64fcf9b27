import type { SqlDatabase, SqlNameOptions, SqlNames } from "@sluice/sql";

/** A database, and where our tables stand in it. */
export interface Session {
  readonly db: SqlDatabase;
  readonly names: SqlNames;
  readonly nameOptions: SqlNameOptions;
}

/** What a command gets from the program. */
export interface CliContext {
  /** Opens the database that options and environment name, and closes it whatever `work` does. */
  withSession<Result>(
    work: (session: Session) => Promise<Result>,
    statementTimeoutMs?: number,
  ): Promise<Result>;
  /** Prints the value as JSON with `--json`, and the text otherwise. */
  show(value: unknown, text: () => string): void;
  /** Asks on the terminal; without one, and at anything but a yes, it is a {@link CliFailure}. */
  confirm(feature: string, widenings: readonly string[]): Promise<void>;
}
