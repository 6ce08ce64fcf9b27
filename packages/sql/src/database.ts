/** The rows of one statement, and how many rows it wrote. */
export interface SqlResult<Row> {
  readonly rows: readonly Row[];
  readonly affected: number;
}

/** One statement with `$1` parameters. Rejects with the database's own error; its SQLSTATE is `code`. */
export type SqlQuery = <Row = Record<string, unknown>>(
  text: string,
  parameters?: readonly unknown[],
) => Promise<SqlResult<Row>>;

/** A connection of its own that hears a channel. */
export interface SqlListener {
  /** On the listening connection itself, so an answer proves that the connection lives. */
  readonly query: SqlQuery;
  /** Closes the connection; `onEnd` is not called for it. Never rejects, and waits for no answer. */
  close(): void;
}

export interface SqlListenHandlers {
  readonly onNotify: (payload: string) => void;
  /** The connection is gone; called once, and nothing is heard after it. */
  readonly onEnd: (error: Error | undefined) => void;
}

export interface SqlTransactionOptions {
  /**
   * No statement of the transaction is given up for the time that it takes or waits for a lock, neither
   * by the server nor by us; where the server falls silent it waits for as long as the system does.
   */
  readonly unhurried?: boolean;
}

/** A database: PostgreSQL over a pool, or PGlite in a worker thread. */
export interface SqlDatabase {
  readonly kind: "postgres" | "pglite";
  /** On any connection. */
  readonly query: SqlQuery;
  /** Several statements without parameters, as psql would run them. */
  exec(script: string): Promise<void>;
  /** All or nothing, on one connection; a rejection of `work` rolls back. */
  transaction<Result>(
    work: (query: SqlQuery) => Promise<Result>,
    options?: SqlTransactionOptions,
  ): Promise<Result>;
  /** Resolves once the channel is heard. */
  listen(channel: string, handlers: SqlListenHandlers): Promise<SqlListener>;
  /** Ends what is open; later calls reject. */
  close(): Promise<void>;
}
