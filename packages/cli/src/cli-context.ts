import type { SqlDatabase, SqlNameOptions, SqlNames } from "@sluice/sql";

/** A database, and where our tables stand in it. */
export interface Session {
  readonly db: SqlDatabase;
  readonly names: SqlNames;
  readonly nameOptions: SqlNameOptions;
}

/** What a command gets from the program. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Opens the database that options and environment name, and closes it whatever `work` does. An
   * embedded one is created only where `mayCreate`.
   */
  withSession<Result>(
    work: (session: Session) => Promise<Result>,
    statementTimeoutMs?: number,
    mayCreate?: boolean,
  ): Promise<Result>;
  /** Prints the value as JSON with `--json`, and the text otherwise. */
  show(value: unknown, text: () => string): void;
  /** Prints the text at once, for who waits; nothing with `--json`. */
  say(text: string): void;
  /** Asks on the terminal; without one, and at anything but a yes, it is a {@link CliFailure}. */
  confirm(what: string, widenings: readonly string[]): Promise<void>;
}
