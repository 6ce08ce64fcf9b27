import { isDeepStrictEqual } from "node:util";
import type { SqlDatabase, SqlQuery } from "@sluice/sql";
import type { CliContext } from "./cli-context.ts";

export interface AgreedChange<Before, After> {
  /** What is changed, as the question names it. */
  readonly what: string;
  readonly reason: string | undefined;
  /** Widening was agreed to beforehand. */
  readonly yes: boolean;
  /** As it is now, kept so until the transaction ends. */
  read(query: SqlQuery): Promise<Before>;
  /** One phrase each; none where the change narrows. */
  wideningsOf(before: Before): readonly string[];
  write(query: SqlQuery, before: Before): Promise<After>;
}

/**
 * Changes something in one transaction. What widens is confirmed against what is there then; where
 * another session changed it while the question stood, it is asked again.
 */
export async function changeAgreed<Before, After>(
  context: CliContext,
  db: SqlDatabase,
  change: AgreedChange<Before, After>,
): Promise<After> {
  // In an object, as there may be nothing there, and nothing was agreed to yet.
  let agreed: { readonly before: Before } | undefined;
  for (;;) {
    const attempt = await db.transaction(async (query) => {
      await beginChange(query, change.reason);
      const before = await change.read(query);
      const widenings = change.wideningsOf(before);
      if (widenings.length > 0 && !change.yes && !isDeepStrictEqual({ before }, agreed)) {
        return { isDone: false as const, before, widenings };
      }
      return { isDone: true as const, after: await change.write(query, before) };
    });
    if (attempt.isDone) return attempt.after;
    await context.confirm(change.what, attempt.widenings);
    agreed = { before: attempt.before };
  }
}

/** The audit's reason, and a limit on waiting for whoever holds the row. */
export async function beginChange(query: SqlQuery, reason: string | undefined): Promise<void> {
  await query("SELECT set_config('lock_timeout', '3s', true)");
  if (reason !== undefined) await query("SELECT set_config('sluice.reason', $1, true)", [reason]);
}
