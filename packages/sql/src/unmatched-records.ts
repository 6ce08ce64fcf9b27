import type { Clock, OutcomeEvent } from "@sluice/contract";

export interface UnmatchedRecordsOptions {
  readonly clock: Clock;
  /** To be looked for again. */
  readonly onRetry: (event: OutcomeEvent) => void;
}

/** Mode `fill`: records that found no row of the product's yet. */
export interface UnmatchedRecords {
  readonly size: number;
  /** False where it has waited for long enough, and is not kept. */
  keep(event: OutcomeEvent): boolean;
  /** All at once, and now. */
  retry(): void;
  /** Forgets all; the count of them. */
  giveUp(): number;
}

/** How long, and how often, the product's row is looked for. */
const waitMs = 5_000;
const retryMs = 1_000;

export function unmatchedRecords({ clock, onRetry }: UnmatchedRecordsOptions): UnmatchedRecords {
  let events: OutcomeEvent[] = [];
  let cancelRetry: (() => void) | undefined;

  const rest = (): OutcomeEvent[] => {
    cancelRetry?.();
    cancelRetry = undefined;
    const all = events;
    events = [];
    return all;
  };
  const retry = (): void => {
    for (const event of rest()) onRetry(event);
  };

  return {
    get size() {
      return events.length;
    },
    keep(event) {
      if (clock.wallMs() - event.at_ms >= waitMs) return false;
      events.push(event);
      cancelRetry ??= clock.after(retryMs, retry);
      return true;
    },
    retry,
    giveUp: () => rest().length,
  };
}
