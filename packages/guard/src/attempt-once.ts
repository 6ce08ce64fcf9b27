import {
  costNanoUsd,
  FailureCode,
  type AttemptRecord,
  type Clock,
  type HoldEnd,
  type ProviderAsk,
  type ProviderCall,
  type ToolCall,
} from "@sluice/contract";
import { failureTable } from "@sluice/policy";
import type { AnswerText } from "./answer-text.ts";
import { stopCodes, type AttemptEnd } from "./attempt-end.ts";
import type { AttemptHolds, Reserved } from "./attempt-holds.ts";
import { attempt } from "./attempt.ts";
import type { Candidate } from "./candidate.ts";
import { given } from "./given.ts";
import { judge, type JudgeParts, type Ran } from "./judge.ts";
import type { MeasureCollector } from "./measure-collector.ts";
import { Running, type AttemptClocks } from "./running.ts";
import { endOfAttempt } from "./settle-end.ts";
import type { Tracing } from "./telemetry/tracing.ts";
import type { Tripwire } from "./tripwire.ts";
import type { Work } from "./work.ts";

export interface AttemptParts<Ok> extends JudgeParts<Ok> {
  readonly tripwire: Tripwire;
  readonly clocks: Omit<AttemptClocks, "attemptMs">;
  readonly maxOutputTokens: number | undefined;
  readonly clock: Clock;
  readonly tracing: Tracing;
}

/** One attempt, over: judged, settled, recorded. */
export interface Attempted<Ok> {
  readonly ran: Ran<Ok>;
  readonly code: FailureCode | undefined;
  readonly retryAfterMs: number | undefined;
  readonly toolCalls: readonly ToolCall[];
  readonly record: AttemptRecord;
}

/** Calls one candidate once, within its holds and clocks, and gives the holds back whatever comes. */
export async function attemptOnce<In, Ok>(
  parts: AttemptParts<Ok>,
  work: Work<In>,
  candidate: Candidate<In>,
  made: {
    readonly ask: ProviderAsk<In>;
    readonly held: AttemptHolds;
    /** What is left of the request's time. */
    readonly remainingMs: number;
    readonly idempotencyKey: string;
    readonly measures: MeasureCollector;
    readonly answer: AnswerText;
    readonly streams: boolean;
  },
): Promise<Attempted<Ok>> {
  const { clock, tracing } = parts;
  const { ask, held, answer, measures, remainingMs } = made;
  const { provider } = candidate;
  // From here on it is not certain that nothing left, until a provider says so.
  let end: HoldEnd = { how: "settle", health: "neutral" };
  const attemptMs = Math.min(candidate.timeoutMs, remainingMs);
  const running = new Running(work, clock, { ...parts.clocks, attemptMs });
  try {
    const call: ProviderCall<In> = {
      ...ask,
      model: candidate.config.model,
      maxOutputTokens: held.reservation?.outputTokens ?? parts.maxOutputTokens,
      reserved: held.reservation && amountsOf(held.reservation),
      signal: running.signal,
      idempotencyKey: made.idempotencyKey,
      measure: (report) => measures.report(report),
    };
    const flows = made.streams ? answer : undefined;
    const ended = await attempt(provider, call, running, tracing, flows);
    const ran = judge(parts, answer, ended);
    // A tripwire that this attempt trips stops the others of its run.
    running.end();
    const code = codeOf(ran);
    end = endOfAttempt(ended, code, held.reservation);
    const latencyMs = clock.monotonicMs() - running.startedMs;
    noteAttempt(parts, work, candidate, ended, code, latencyMs);
    const reply = ended.kind === "reply" ? ended.reply : undefined;
    return {
      ran,
      code,
      retryAfterMs: reply?.ok === false ? reply.retryAfterMs : undefined,
      toolCalls: reply?.ok === true ? (reply.toolCalls ?? []) : [],
      record: recordOfAttempt(candidate, ended, code, latencyMs),
    };
  } finally {
    running.end();
    work.release(held.holds, end);
  }
}

/** Tells those who watch over the provider how it went. */
export function noteAttempt<In>(
  { tripwire }: { readonly tripwire: Tripwire },
  work: Work<In>,
  { health }: Candidate<In>,
  ended: AttemptEnd,
  code: FailureCode | undefined,
  latencyMs: number,
): void {
  const { run, subject } = work.context.request;
  const reply = ended.kind === "reply" ? ended.reply : undefined;
  health.note(code, reply?.ok === false ? reply.retryAfterMs : undefined);
  if (code === FailureCode.KILLED || code === FailureCode.CLIENT_ABORTED) return;
  const row = code === undefined ? undefined : failureTable[code];
  tripwire.observe(run, {
    subject,
    latencyMs,
    error: row?.error ?? false,
    schemaFailure: row?.schemaFailure ?? false,
  });
}

/** Numbers and codes of one call. */
export function recordOfAttempt<In>(
  { provider, model, price }: Candidate<In>,
  ended: AttemptEnd,
  code: FailureCode | undefined,
  latencyMs: number,
): AttemptRecord {
  const reply = ended.kind === "reply" ? ended.reply : undefined;
  const status = reply?.ok === false ? reply.httpStatus : undefined;
  const usage = reply?.usage ?? ended.seen.usage;
  const { firstContentMs } = ended.seen;
  return {
    provider: provider.name,
    latencyMs,
    ...given("model", model),
    ...given("code", code),
    ...given("firstContentMs", firstContentMs),
    ...given("httpStatus", status),
    ...given("usage", usage),
    ...given("costNanoUsd", usage && price && costNanoUsd(usage, price)),
  };
}

function codeOf(ran: Ran<unknown>): FailureCode | undefined {
  if (ran.kind === "failed") return ran.code;
  return ran.kind === "shut" ? stopCodes.shut : undefined;
}

/** What is reserved, without the means to give it back. */
function amountsOf({
  inputTokens,
  outputTokens,
  costNanoUsd: reservedNanoUsd,
}: Reserved): ProviderCall<unknown>["reserved"] {
  return { inputTokens, outputTokens, costNanoUsd: reservedNanoUsd };
}
