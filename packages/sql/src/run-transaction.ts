import type { SqlQuery, SqlTransactionOptions } from "./database.ts";
import { createSerialQueue } from "./serial-queue.ts";

/**
 * A transaction on the one connection that `send` speaks to. Its queries run one after the other, and
 * reject once it is over. A rejection of the rollback itself is not told: the first error is.
 */
export async function runTransaction<Result>(
  send: SqlQuery,
  work: (query: SqlQuery) => Promise<Result>,
  options: SqlTransactionOptions = {},
): Promise<Result> {
  const queue = createSerialQueue();
  let failed = false;
  let over = false;
  const query: SqlQuery = (text, parameters) =>
    queue(async () => {
      if (over) throw new Error("The transaction is over.");
      try {
        return await send(text, parameters);
      } catch (error) {
        failed = true;
        throw error;
      }
    });

  await send("begin");
  try {
    if (options.unhurried === true) {
      await send("set local statement_timeout = 0");
      await send("set local lock_timeout = 0");
    }
    const result = await work(query);
    await queue(async () => {
      over = true;
      // PostgreSQL answers COMMIT after a failed statement with a silent rollback. This statement is
      // refused there, but not after a rollback to a savepoint.
      if (failed) await send("select 1");
      await send("commit");
    });
    return result;
  } catch (error) {
    await queue(async () => {
      over = true;
      await send("rollback");
    }).catch(() => undefined);
    throw error;
  }
}
