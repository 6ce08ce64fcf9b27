import type { Outcome } from "@sluice/contract";

/** Why a request was answered as it was; what the page shows beside an answer. */
export interface OutcomeNote {
  readonly path: string;
  readonly status: string;
  readonly code: string | null;
  /** Who answered; null where no provider did. */
  readonly provider: string | null;
  readonly fallback: boolean;
  /** From the start of the execution to its first word; null where it did not flow. */
  readonly firstContentMs: number | null;
  readonly latencyMs: number;
}

const capacity = 1000;

export interface RecentOutcomes {
  note(outcome: Outcome<unknown, unknown, unknown>): void;
  find(decisionId: string): OutcomeNote | undefined;
}

/** The latest outcomes by decision id; codes and numbers only. */
export function recentOutcomes(): RecentOutcomes {
  const notes = new Map<string, OutcomeNote>();
  return {
    note(outcome) {
      if (notes.size >= capacity) {
        const oldest = notes.keys().next().value;
        if (oldest !== undefined) notes.delete(oldest);
      }
      const { record } = outcome;
      notes.set(outcome.decision.id, {
        path: outcome.path,
        status: outcome.status,
        code: "reason" in outcome ? outcome.reason : failureOf(outcome),
        provider: record.fallbackProvider ?? record.selectedProvider ?? null,
        fallback: record.fallbackUsed,
        firstContentMs:
          record.firstContentMs === undefined ? null : Math.round(record.firstContentMs),
        latencyMs: Math.round(record.latencyMs),
      });
    },
    find: (decisionId) => notes.get(decisionId),
  };
}

function failureOf(outcome: Outcome<unknown, unknown, unknown>): string | null {
  return outcome.status === "FAILED" ? outcome.failure.code : null;
}
