import type { AdmissionVerdict, MetricSample, MetricSink, Outcome, Reason } from "@sluice/contract";

type Counts = Partial<Record<string, number>>;

/** What this process has counted since it started; numbers and codes only. */
export interface LiveFigures {
  /** By who gave the answer; `refused` and `failed` are those that got none. */
  readonly answers: Counts;
  /** By reason: whom a limit refused, and whom it would have. */
  readonly refused: Counts;
  readonly wouldRefuse: Counts;
  /** Requests that the legacy handler answered while the gateway watched. */
  readonly shadow: {
    /** By what the gates said: `allow`, `divert`, `reject`. */
    readonly checked: Counts;
    /** Of the model: by how it ended. */
    readonly mirrored: Counts;
    /** Mirrored answers that were compared with the legacy handler's. */
    readonly compared: number;
  };
  /** As the limits stood for the last request that they were asked for. */
  readonly limits: readonly {
    readonly limit: string;
    readonly used: number;
    readonly of: number;
  }[];
}

export interface LiveCounts {
  readonly metrics: MetricSink;
  noteOutcome(outcome: Outcome<unknown, unknown, unknown>): void;
  /** The legacy handler is asked, in whatever stage. */
  noteLegacy(): void;
  read(): LiveFigures;
}

export function liveCounts(): LiveCounts {
  const answers: Counts = {};
  const refused: Counts = {};
  const wouldRefuse: Counts = {};
  const checked: Counts = {};
  const mirrored: Counts = {};
  let compared = 0;
  let limits: LiveFigures["limits"] = [];

  const noteVerdicts = (verdicts: readonly AdmissionVerdict[]): void => {
    for (const { verdict, reason } of verdicts) {
      if (reason !== undefined && verdict === "would_reject") add(wouldRefuse, reason);
    }
  };
  const note = (sample: MetricSample): void => {
    if (sample.kind === "parity") compared += 1;
    if (sample.kind === "check") add(checked, sample.effect);
    if (sample.kind === "outcome" && sample.arm === "shadow") add(mirrored, sample.outcome);
    // A mirrored request has been checked before.
    else if (sample.kind === "check" || sample.kind === "outcome") noteVerdicts(sample.admission);
  };

  return {
    metrics: note,
    noteOutcome(outcome) {
      if (outcome.path !== "legacy") add(answers, wordFor(outcome));
      if (outcome.status === "REJECTED") add(refused, outcome.reason);
      for (const { would, code } of outcome.record.tools) {
        if (would !== undefined) add(wouldRefuse, would);
        if (code !== undefined && isLimit(code)) add(refused, code);
      }
      const states = outcome.decision.admission?.states;
      if (states === undefined) return;
      limits = states.map(({ dimension, limit, remaining }) => ({
        limit: dimension,
        used: limit - remaining,
        of: limit,
      }));
    },
    noteLegacy: () => add(answers, "legacy"),
    read: () => ({
      answers,
      refused,
      wouldRefuse,
      shadow: { checked, mirrored, compared },
      limits,
    }),
  };
}

function add(counts: Counts, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function wordFor({ status, path }: Outcome<unknown, unknown, unknown>): string {
  if (status === "REJECTED") return "refused";
  return status === "FAILED" && path === "ai" ? "failed" : path;
}

const limitsOfTools: ReadonlySet<string> = new Set<Reason>([
  "TOOL_RATE",
  "TOOL_QUEUE_FULL",
  "TOOL_QUEUE_TIMEOUT",
]);

const isLimit = (code: string): boolean => limitsOfTools.has(code);
