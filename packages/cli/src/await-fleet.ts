import { systemClock } from "@sluice/guard";
import { awaitApplied, type AwaitedInstances } from "@sluice/sql";
import type { Session } from "./cli-context.ts";
import type { FlagRow } from "./flag-row.ts";

/** The staleness limit's default: whoever has not heard by then closes by itself. */
export const defaultWaitMs = 5000;

/**
 * Waits until every living process has applied the flag as it is now. Undefined where nobody could tell:
 * a table without versions, or none of heartbeats; and where there is no time, 0, to wait. The change
 * itself is written by then.
 */
export async function awaitFleet(
  { db, nameOptions }: Session,
  { feature, version }: FlagRow,
  timeoutMs: number,
): Promise<AwaitedInstances | undefined> {
  if (version === null || timeoutMs === 0) return undefined;
  try {
    return await awaitApplied(db, {
      clock: systemClock,
      names: nameOptions,
      feature,
      version,
      timeoutMs,
    });
  } catch {
    return undefined;
  }
}

/** For people: `8 of 8 processes applied version 42 in 31 ms`. */
export function fleetLine(fleet: AwaitedInstances | undefined, version: number | null): string {
  if (fleet === undefined || version === null) return "";
  const { alive, applied, slowestMs } = fleet;
  if (alive === 0) return "no process reports to this database\n";
  const took = slowestMs === undefined ? "" : ` in ${Math.ceil(slowestMs)} ms`;
  return `${applied} of ${alive} processes applied version ${version}${took}\n`;
}
