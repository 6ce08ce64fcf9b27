import { adviceOn } from "./advice.ts";
import type { BatchAccount } from "./batch-account.ts";
import { exitCodeMeanings, exitCodes, type ExitCode } from "./exit-codes.ts";
import type { BatchCaps } from "./journal-record.ts";
import type { Tally } from "./tally.ts";
import { formatUsd } from "./usd.ts";

/** What a run has to tell at its end. Counts are of the whole batch, earlier starts included. */
export interface RunResult {
  readonly tally: Tally;
  readonly account: BatchAccount;
  readonly caps: BatchCaps;
  /** Whether the model's price is known. */
  readonly priced: boolean;
  readonly elapsedMs: number;
  /** False when the run was stopped before it. */
  readonly reachedEnd: boolean;
  readonly exitCode: ExitCode;
}

/** The summary for programs: one JSON object. */
export function summaryJson(result: RunResult): string {
  const { tally, account } = result;
  const { calls, tokens, costNanoUsd } = account.use;
  const { inputTokens, outputTokens } = account.settledTokens;
  return JSON.stringify({
    finished: tally.finished,
    finishedEarlier: tally.finishedEarlier,
    unfinished: tally.unfinishedJobs,
    reachedEnd: result.reachedEnd,
    malformedLines: tally.malformed,
    duplicateIds: tally.duplicates,
    slotsMade: tally.slotsMade,
    byPath: tally.byPath,
    byReason: Object.fromEntries(tally.byReason),
    byFailure: Object.fromEntries(tally.byFailure),
    unfinishedByReason: Object.fromEntries(tally.unfinished),
    budget: { calls, tokens, ...(result.priced ? { costNanoUsd } : {}) },
    caps: result.caps,
    inputTokens,
    outputTokens,
    unsettledCalls: account.unsettledCalls,
    elapsedMs: Math.round(result.elapsedMs),
    exitCode: result.exitCode,
  });
}

/** The summary for people. */
export function summaryText(result: RunResult): string {
  const { tally, account, caps } = result;
  const { use, settledTokens, unsettledCalls } = account;
  const { ai, stub, failed } = tally.byPath;
  const advice = adviceOn([...tally.byReason.keys(), ...tally.unfinished.keys()]);
  return [
    headline(result),
    "",
    ...table([
      ["path", "jobs"],
      ["ai", figure(ai)],
      ["stub", figure(stub)],
      ["failed", figure(failed)],
    ]),
    ...counts("why a stub", tally.byReason),
    ...counts("failure", tally.byFailure),
    ...counts("why unfinished", tally.unfinished),
    "",
    ...table([
      ["budget", "used", "cap"],
      ["calls", figure(use.calls), figure(caps.calls)],
      ["tokens", figure(use.tokens), figure(caps.tokens)],
      [
        "cost",
        result.priced ? formatUsd(use.costNanoUsd) : "unknown",
        caps.costNanoUsd === undefined ? "none" : formatUsd(caps.costNanoUsd),
      ],
    ]),
    "",
    `${some(tally.slotsMade, "slot")} made; ${figure(settledTokens.inputTokens)} input and ${figure(settledTokens.outputTokens)} output tokens as the provider counted them`,
    ...(unsettledCalls === 0
      ? []
      : [`${some(unsettledCalls, "call")} without a count charged with all that was set aside`]),
    ...advice,
    `exit ${result.exitCode}: ${meaningOf(result.exitCode)}`,
  ].join("\n");
}

function headline({ tally, elapsedMs, reachedEnd }: RunResult): string {
  const parts = [`${some(tally.finished, "job")} finished`];
  if (tally.finishedEarlier > 0) parts.push(`${figure(tally.finishedEarlier)} of them earlier`);
  if (tally.unfinishedJobs > 0) parts.push(`${figure(tally.unfinishedJobs)} unfinished`);
  if (tally.malformed > 0) parts.push(`${some(tally.malformed, "line")} malformed`);
  if (tally.duplicates > 0) parts.push(`${some(tally.duplicates, "line")} with an id seen before`);
  if (!reachedEnd) parts.push("the rest of the file not reached");
  return `${parts.join(", ")}; ${(elapsedMs / 1000).toFixed(1)} s`;
}

function meaningOf(exitCode: ExitCode): string {
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[];
  const name = names.find((key) => exitCodes[key] === exitCode);
  return name === undefined ? "" : exitCodeMeanings[name];
}

function counts(title: string, of: ReadonlyMap<string, number>): string[] {
  if (of.size === 0) return [];
  const rows = [...of]
    .toSorted(([a, jobsA], [b, jobsB]) => jobsB - jobsA || a.localeCompare(b))
    .map(([name, jobs]) => [name, figure(jobs)]);
  return ["", ...table([[title, "jobs"], ...rows])];
}

/** Columns under a header; all but the first to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const pad = (cell: string, column: number): string => {
    const width = widths[column] ?? 0;
    return column === 0 ? cell.padEnd(width) : cell.padStart(width);
  };
  return rows.map((row) => row.map(pad).join("  "));
}

const figure = (value: number): string => value.toLocaleString("en");

const some = (count: number, what: string): string =>
  `${figure(count)} ${what}${count === 1 ? "" : "s"}`;
