import {
  FailureCode,
  Reason,
  type AttemptRecord,
  type NewId,
  type ProviderAsk,
  type RouteStrategy,
  type SkippedCandidate,
  type ToolCall,
  type ToolRecord,
  type ToolStep,
  type Usage,
} from "@sluice/contract";
import { nextAttempt, type RetryRules } from "@sluice/policy";
import type { AnswerText } from "./answer-text.ts";
import type { HoldsReply, HoldTaker } from "./attempt-holds.ts";
import { attemptOnce, type Attempted, type AttemptParts } from "./attempt-once.ts";
import type { Candidate } from "./candidate.ts";
import type { InFlight } from "./in-flight.ts";
import type { Ran } from "./judge.ts";
import type { MeasureCollector } from "./measure-collector.ts";
import { pause } from "./pause.ts";
import { awaitRoom } from "./await-room.ts";
import type { RetryAllowance } from "./retry-allowance.ts";
import { maxCallsPerTurn, type Tools } from "./tools/run-tools.ts";
import { shutReason, whyBarred, type Bars } from "./why-barred.ts";
import type { Work } from "./work.ts";

/** What attempts are made with. */
export interface RunParts<In, Ok> extends AttemptParts<Ok>, Bars {
  readonly inFlight: InFlight<In>;
  readonly holdTaker: HoldTaker<In>;
  readonly retries: RetryAllowance;
  readonly retryRules: RetryRules;
  readonly totalMs: number;
  readonly tools: Tools | undefined;
  /** Whether the route still has the candidate: to disable one is to narrow, which counts at once. */
  readonly isEnabled: (candidate: Candidate<In>) => boolean;
  /** Whether another candidate may stand in now. */
  readonly failover: () => boolean;
  readonly random: () => number;
  readonly newId: NewId;
}

/** Where a streamed answer goes besides its text. */
export interface TurnSink {
  toolCall(id: string, name: string, input: unknown): Promise<void> | undefined;
  toolResult(id: string, name: string, output: string): Promise<void> | undefined;
  /** Whether anything has left, in whatever attempt. */
  readonly hasLeft: boolean;
}

/** The attempts of one request, and what they came to. */
export interface Run<Ok> {
  readonly ran: Exclude<Ran<Ok>, { kind: "tools" }>;
  readonly strategy: RouteStrategy;
  readonly requested: string | undefined;
  /** The route's choice for the first attempt, where one was made. */
  readonly selected: string | undefined;
  /** Who made the last attempt. */
  readonly answered: string | undefined;
  readonly promptTemplateVersion: string | undefined;
  readonly attempts: readonly AttemptRecord[];
  readonly skipped: readonly SkippedCandidate[];
  readonly tools: readonly ToolRecord[];
  readonly usage: Usage | undefined;
  readonly costNanoUsd: number | undefined;
}

/**
 * Makes attempts over the route until one succeeds or none may follow, and runs the tools that the model
 * calls between its turns. Before each attempt: kill looked at again, permit, reservation; after it:
 * settled. Every hold is given back on every path.
 * @param sink undefined asks providers for whole answers
 */
export async function runAttempts<In, Ok>(
  parts: RunParts<In, Ok>,
  work: Work<In>,
  measures: MeasureCollector,
  answer: AnswerText,
  sink: TurnSink | undefined,
): Promise<Run<Ok>> {
  const { clock, newId, retries } = parts;
  const { context } = work;
  const plan = context.plan();
  const deadlineMs = clock.monotonicMs() + parts.totalMs;
  const attempts: AttemptRecord[] = [];
  const skipped: SkippedCandidate[] = [...plan.skipped, ...context.skipped];
  const tools: ToolRecord[] = [];
  const steps: ToolStep[] = [];
  let selected: Candidate<In> | undefined;
  let last: Candidate<In> | undefined;
  let failure: FailureCode | undefined;
  let place = context.permit?.index ?? 0;
  let retriesUsed = 0;
  let idempotencyKey = newId();
  /** The gates took the first attempt's holds already. */
  let isFirst = true;

  const skip = ({ provider }: Candidate<In>, why: SkippedCandidate["why"]): void =>
    void skipped.push({ provider: provider.name, why });

  const done = (ran: Run<Ok>["ran"]): Run<Ok> => ({
    ran,
    strategy: plan.strategy,
    requested: plan.requested,
    selected: selected?.provider.name,
    answered: last?.provider.name,
    promptTemplateVersion: (last ?? plan.candidates[place])?.config.promptTemplateVersion,
    attempts,
    skipped,
    tools,
    usage: sumOfUsage(attempts),
    costNanoUsd: sumOfCost(attempts),
  });

  /** Nobody may be asked any more: the last failure stands, or there was none. */
  const exhausted = (reason: Reason, afterContent: FailureCode): Run<Ok> => {
    const code = failure ?? (sink?.hasLeft === true ? afterContent : undefined);
    return done(code === undefined ? { kind: "shut", reason } : { kind: "failed", code });
  };

  const canStandIn = (other: Candidate<In>): boolean =>
    parts.failover() && parts.isEnabled(other) && parts.holdTaker.isCallable(other);

  const toNextCandidate = (): void => {
    // Switched off meanwhile, nobody else is asked.
    place = parts.failover() ? place + 1 : plan.candidates.length;
    retriesUsed = 0;
  };

  const next = (candidate: Candidate<In>, { code, retryAfterMs }: Attempted<Ok>) => {
    const failed = {
      code: code ?? FailureCode.INTERNAL,
      retryAfterMs: Math.max(retryAfterMs ?? 0, candidate.health.coolingMs()),
      retriesUsed,
      committed: answer.hasLeft,
      // After content, whoever began goes on.
      hasNext: sink?.hasLeft !== true && plan.candidates.slice(place + 1).some(canStandIn),
      remainingMs: deadlineMs - clock.monotonicMs(),
      random: parts.random(),
    };
    const wanted = nextAttempt({ ...failed, maxRetries: candidate.maxRetries }, parts.retryRules);
    if (wanted.kind !== "retry" || retries.trySpend()) return wanted;
    skip(candidate, "retry_budget");
    return nextAttempt({ ...failed, maxRetries: retriesUsed }, parts.retryRules);
  };

  const runTools = async (allowed: Tools, calls: readonly ToolCall[]): Promise<void> => {
    const text = answer.ofAttempt();
    answer.endTurn();
    const told = new Set<ToolCall>();
    for (const call of calls.slice(0, maxCallsPerTurn)) {
      const parsed = allowed.parse(call);
      if (!parsed.ok) continue;
      told.add(call);
      const room = sink?.toolCall(call.id, call.name, parsed.input);
      if (room !== undefined) await awaitRoom(room, parts, work, deadlineMs);
    }
    if (whyBarred(parts, work, deadlineMs) !== undefined) return;
    const { request } = context;
    const gave = await allowed.runAll(calls, {
      subject: request.subject,
      run: request.run,
      switches: request.switches,
      requestId: idempotencyKey,
      shut: () => shutReason(parts, work),
      deadlineMs,
      onStop: (stop) => work.onStop(stop),
    });
    tools.push(...gave.records);
    steps.push({ text, calls, results: gave.results });
    for (const [at, call] of calls.entries()) {
      const result = gave.results[at];
      if (result === undefined || !told.has(call)) continue;
      const room = sink?.toolResult(call.id, call.name, result.output);
      if (room !== undefined) await awaitRoom(room, parts, work, deadlineMs);
    }
    // The next turn is a call of its own.
    idempotencyKey = newId();
    retriesUsed = 0;
    failure = undefined;
  };

  try {
    for (;;) {
      const barred = whyBarred(parts, work, deadlineMs);
      if (barred !== undefined) return done(barred);
      const candidate = plan.candidates[place];
      if (candidate === undefined) {
        return exhausted(Reason.CIRCUIT_OPEN, FailureCode.PROVIDER_UNAVAILABLE);
      }
      const ask: ProviderAsk<In> = {
        input: context.input,
        schema: parts.contract.askable,
        tools: parts.tools?.specs ?? [],
        steps: [...steps],
        promptTemplateVersion: candidate.config.promptTemplateVersion,
        model: candidate.config.model,
      };
      let held: HoldsReply = { skip: "disabled" };
      if (parts.isEnabled(candidate)) {
        const taking = isFirst
          ? parts.holdTaker.first(work, candidate, ask)
          : parts.holdTaker.further(work, candidate, ask, retriesUsed > 0);
        held = taking instanceof Promise ? await taking : taking;
        // A kill may have come while a shared budget was asked.
        const since = taking instanceof Promise ? whyBarred(parts, work, deadlineMs) : undefined;
        if (since !== undefined) {
          if ("holds" in held) work.release(held.holds, { how: "void" });
          return done(since);
        }
      } else if (isFirst) {
        work.release(work.takeAttemptHolds(), { how: "void" });
      }
      isFirst = false;
      if ("refused" in held) {
        skip(candidate, "budget");
        return exhausted(held.refused, FailureCode.OUTPUT_TRUNCATED);
      }
      if ("skip" in held) {
        skip(candidate, held.skip);
        if (sink?.hasLeft === true) {
          return exhausted(Reason.CIRCUIT_OPEN, FailureCode.PROVIDER_UNAVAILABLE);
        }
        toNextCandidate();
        continue;
      }

      selected ??= candidate;
      last = candidate;
      answer.beginAttempt();
      if (retriesUsed === 0) retries.noteCall();
      const attempted = await attemptOnce(parts, work, candidate, {
        ask,
        held,
        remainingMs: deadlineMs - clock.monotonicMs(),
        idempotencyKey,
        measures,
        answer,
        streams: sink !== undefined,
      });
      attempts.push(attempted.record);
      const { ran } = attempted;
      if (ran.kind === "succeeded") {
        answer.end();
        return done(ran);
      }
      if (ran.kind === "shut") return done(ran);
      if (ran.kind === "tools") {
        if (parts.tools === undefined || steps.length >= parts.tools.maxSteps) {
          return done({ kind: "failed", code: FailureCode.OUTPUT_TRUNCATED });
        }
        await runTools(parts.tools, attempted.toolCalls);
        continue;
      }

      failure = ran.code;
      const following = next(candidate, attempted);
      if (following.kind === "stop") return done(ran);
      if (following.kind === "failover") toNextCandidate();
      else {
        retriesUsed += 1;
        await pause(clock, following.delayMs, work);
      }
    }
  } finally {
    parts.inFlight.remove(work);
    // The lease, and whatever a gate took that no attempt took over.
    work.end(attempts.length === 0 ? { how: "void" } : { how: "settle", health: "neutral" });
  }
}

function sumOfUsage(attempts: readonly AttemptRecord[]): Usage | undefined {
  let sum: Usage | undefined;
  for (const { usage } of attempts) {
    if (usage === undefined) continue;
    sum = {
      inputTokens: (sum?.inputTokens ?? 0) + usage.inputTokens,
      outputTokens: (sum?.outputTokens ?? 0) + usage.outputTokens,
    };
  }
  return sum;
}

function sumOfCost(attempts: readonly AttemptRecord[]): number | undefined {
  let sum: number | undefined;
  for (const { costNanoUsd } of attempts) {
    if (costNanoUsd !== undefined) sum = (sum ?? 0) + costNanoUsd;
  }
  return sum;
}
