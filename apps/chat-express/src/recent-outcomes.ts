import type { Outcome } from "@sluice/contract";

/** Why a request was answered as it was; what the page shows beside an answer. */
export interface OutcomeNote {
  readonly path: string;
  readonly status: string;
  readonly code: string | null;
  /** Who answered; null where no provider did. */
  readonly provider: string | null;
  readonly fallback: boolean;
  readonly latencyMs: number;
}

const capacity = 1000;

export interface RecentOutcomes {
  note(outcome: Outcome<unknown, unknown, unknown>): void;
  find(decisionId: string): OutcomeNote | undefined;
  counts(): Readonly<Record<string, number>>;
}

/** The latest outcomes by decision id; codes and numbers only. */
export function recentOutcomes(): RecentOutcomes {
  const notes = new Map<string, OutcomeNote>();
  const counts: Record<string, number> = {};
  return {
    note(outcome) {
      if (notes.size >= capacity) {
        const oldest = notes.keys().next().value;
        if (oldest !== undefined) notes.delete(oldest);
      }
      counts[outcome.status] = (counts[outcome.status] ?? 0) + 1;
      notes.set(outcome.decision.id, {
        path: outcome.path,
        status: outcome.status,
        code: "reason" in outcome ? outcome.reason : failureOf(outcome),
        provider: outcome.record.fallbackProvider ?? outcome.record.selectedProvider ?? null,
        fallback: outcome.record.fallbackUsed,
        latencyMs: Math.round(outcome.record.latencyMs),
      });
    },
    find: (decisionId) => notes.get(decisionId),
    counts: () => counts,
  };
}

function failureOf(outcome: Outcome<unknown, unknown, unknown>): string | null {
  return outcome.status === "FAILED" ? outcome.failure.code : null;
}
