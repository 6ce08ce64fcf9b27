import {
  FailureCode,
  Reason,
  type Contract,
  type Outcome,
  type OutcomeRecord,
} from "@sluice/contract";
import type { z } from "zod";
import { AnswerText } from "./answer-text.ts";
import {
  collectMeasures,
  type DeclaredMeasures,
  type MeasureCollector,
} from "./measure-collector.ts";
import type { OpenDecision } from "./open-decision.ts";
import { requestIdOf, toRecord } from "./outcome-record.ts";
import { runAttempts, type Run, type RunParts } from "./run-attempts.ts";
import type { SafePath } from "./safe-path.ts";
import type { StreamQueue } from "./stream-queue.ts";
import { streamSink, type StreamSink } from "./stream-sink.ts";
import type { Work } from "./work.ts";

export interface Executor<In, Ok, Failed, Stub> extends RunParts<In, Ok> {
  readonly contract: Contract<z.ZodType<Ok>, z.ZodType<Failed>, z.ZodType<Stub>>;
  readonly safePath: SafePath<In, Failed, Stub>;
  readonly onFailure: "failed" | "stub";
  /** Whether streams tell what a model says to itself. */
  readonly reasoning: boolean;
  readonly measures: DeclaredMeasures | undefined;
  readonly measure: ((value: Ok, input: In) => unknown) | undefined;
}

/**
 * Does what the decision says. It never throws, and every hold is given back on every path.
 * @param onOutcome told before anybody who waits for the outcome
 * @param queue where the answer flows to; undefined makes it whole
 */
export async function execute<In, Ok, Failed, Stub>(
  executor: Executor<In, Ok, Failed, Stub>,
  decision: OpenDecision<In>,
  work: Work<In>,
  onOutcome: (outcome: Outcome<Ok, Failed, Stub>) => void,
  queue?: StreamQueue<Ok, Failed, Stub>,
): Promise<Outcome<Ok, Failed, Stub>> {
  const measures = collectMeasures(executor.measures, executor.events);
  const { clock, forbidden } = executor;
  const startedMs = clock.monotonicMs();
  const sink =
    queue &&
    streamSink(queue, decision, clock, startedMs, executor.reasoning ? forbidden : undefined);
  const client = work.context.request.signal;
  const clientGone = (): void => work.stop({ kind: "client" });
  client?.addEventListener("abort", clientGone, { once: true });
  queue?.onCancel(clientGone);
  if (queue?.cancelled === true) clientGone();
  try {
    const record = (run?: Run<Ok>, safePathUsed = false): OutcomeRecord =>
      toRecord({
        requestId: requestIdOf(decision, work),
        latencyMs: clock.monotonicMs() - startedMs,
        firstContentMs: sink?.firstContentMs,
        measures: measures.values,
        run,
        safePathUsed,
      });
    const outcome = await outcomeOf(executor, decision, work, measures, record, sink);
    onOutcome(outcome);
    sink?.end(executor.contract, outcome);
    return outcome;
  } finally {
    client?.removeEventListener("abort", clientGone);
  }
}

async function outcomeOf<In, Ok, Failed, Stub>(
  executor: Executor<In, Ok, Failed, Stub>,
  decision: OpenDecision<In>,
  work: Work<In>,
  measures: MeasureCollector,
  record: (run?: Run<Ok>, safePathUsed?: boolean) => OutcomeRecord,
  sink: StreamSink<Ok, Failed, Stub> | undefined,
): Promise<Outcome<Ok, Failed, Stub>> {
  if (decision.effect === "reject") {
    return {
      status: "REJECTED",
      path: "none",
      decision,
      reason: decision.reason ?? Reason.STORE_UNAVAILABLE,
      retryAfterMs: decision.retryAfterMs ?? 0,
      record: record(),
    };
  }

  const { safePath } = executor;
  const failed = (code: FailureCode, run?: Run<Ok>): Outcome<Ok, Failed, Stub> => ({
    status: "FAILED",
    // Without a run it was the stub itself that failed.
    path: run === undefined ? safePath.path : "ai",
    decision,
    value: safePath.failed(code),
    failure: { code },
    record: record(run),
  });

  const stubbed = async (reason: Reason, run?: Run<Ok>): Promise<Outcome<Ok, Failed, Stub>> => {
    const answered = await safePath.answer(work.context.input, measures);
    if (answered === undefined) return failed(FailureCode.INTERNAL, run);
    return {
      status: "STUBBED",
      path: safePath.path,
      decision,
      value: answered.value,
      reason,
      record: record(run, run !== undefined),
    };
  };

  if (decision.effect === "divert") {
    return stubbed(decision.reason ?? Reason.FLAG_OFF);
  }

  const { contract, forbidden } = executor;
  const answer = new AnswerText(contract.text, forbidden, sink?.text, sink?.reasoning);
  const run = await runAttempts(executor, work, measures, answer, sink);
  const { ran } = run;
  // What left can't be taken back, and no other answer may be glued to it.
  const hasLeft = sink?.hasLeft === true;
  if (ran.kind === "shut")
    return hasLeft ? failed(FailureCode.KILLED, run) : stubbed(ran.reason, run);
  if (ran.kind === "succeeded") {
    if (executor.measure !== undefined) {
      reportMeasures(executor, ran.value, work.context.input, measures);
    }
    return { status: "SUCCEEDED", path: "ai", decision, value: ran.value, record: record(run) };
  }
  // Nobody is there to read the safe path's answer.
  const isUnread = ran.code === FailureCode.CLIENT_ABORTED;
  if (executor.onFailure === "failed" || isUnread || hasLeft) return failed(ran.code, run);
  const answered = await safePath.answer(work.context.input, measures);
  if (answered === undefined) return failed(ran.code, run);
  return {
    status: "FAILED",
    path: safePath.path,
    decision,
    value: answered.value,
    failure: { code: ran.code },
    record: record(run, true),
  };
}

function reportMeasures<In, Ok, Failed, Stub>(
  executor: Executor<In, Ok, Failed, Stub>,
  value: Ok,
  input: In,
  measures: MeasureCollector,
): void {
  try {
    measures.report(executor.measure?.(value, input));
  } catch {
    executor.events.alertOnce("measure", {
      code: "DEPENDENCY_THREW",
      message: "the measure option threw; its report is lost",
    });
  }
}
