import { changeFlag, type FlagChange } from "./change-flag.ts";
import type { CliContext, Session } from "./cli-context.ts";
import type { FlagRow } from "./flag-row.ts";
import { changed, nameBlockers } from "./name-blockers.ts";

/** Changes a feature's row, and names who keeps it waiting. */
export function setFlag(
  context: CliContext,
  session: Session,
  change: FlagChange,
): Promise<FlagRow> {
  const { feature } = change;
  return nameBlockers(context, session, { what: { feature }, ...changed }, (watched) =>
    changeFlag(context, watched, change),
  );
}
