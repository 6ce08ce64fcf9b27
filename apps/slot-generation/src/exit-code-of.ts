import { Reason } from "@sluice/contract";
import type { UnfinishedReason } from "./conclude.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { exitCodeOfSignal, type Stopper } from "./stopper.ts";
import type { Tally } from "./tally.ts";

/** The feature as a whole was shut. A job outside the percentage is only left when that is 0. */
const shutReasons: ReadonlySet<UnfinishedReason> = new Set<UnfinishedReason>([
  Reason.FLAG_OFF,
  Reason.FLAGS_STALE,
  Reason.KILLED,
  Reason.TRIPPED,
  Reason.NOT_IN_ROLLOUT,
]);

/** How a run ended; the graver first. */
export function exitCodeOf(stopper: Pick<Stopper, "received" | "broken">, tally: Tally): ExitCode {
  if (stopper.broken !== undefined) return exitCodes.brokeOff;
  if (stopper.received !== undefined) return exitCodeOfSignal(stopper.received);
  if ([...tally.unfinished.keys()].some((reason) => shutReasons.has(reason))) return exitCodes.shut;
  if (tally.unfinished.size > 0) return exitCodes.unfinished;
  if (tally.malformed + tally.duplicates > 0) return exitCodes.unusableLines;
  return exitCodes.finished;
}
