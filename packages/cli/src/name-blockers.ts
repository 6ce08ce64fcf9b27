import { systemClock } from "@sluice/guard";
import type { CliContext, Session } from "./cli-context.ts";
import { CliFailure } from "./cli-failure.ts";
import { blockersAsJson, describeBlockers } from "./describe-blockers.ts";
import { exitCodes } from "./exit-codes.ts";
import { BlockedError, withBlockers } from "./with-blockers.ts";

export interface BlockableChange {
  /** What is changed, as JSON names it. */
  readonly what: Readonly<Record<string, string>>;
  /** As in `not killed`. */
  readonly undone: string;
  /** As in `then kill again`. */
  readonly again: string;
}

/** A change of flags or providers. */
export const changed = { undone: "not changed", again: "try again" } as const;

/**
 * Does a change; where another transaction keeps it waiting too long, says whose that is and how it is ended.
 * @throws {CliFailure} then.
 */
export async function nameBlockers<Result>(
  context: CliContext,
  session: Session,
  { what, undone, again }: BlockableChange,
  change: (session: Session) => Promise<Result>,
): Promise<Result> {
  try {
    return await withBlockers(session, systemClock, change);
  } catch (error) {
    if (!(error instanceof BlockedError)) throw error;
    const { blockers } = error;
    context.show({ ...what, ...blockersAsJson(blockers) }, () => "");
    throw new CliFailure(
      exitCodes.refused,
      `${undone}: a lock is held by ${describeBlockers(blockers)}, then ${again}`,
    );
  }
}
