import {
  FailureCode,
  Reason,
  costNanoUsd,
  type AttemptRecord,
  type BudgetReservation,
  type Contract,
  type HoldEnd,
  type NewId,
  type Outcome,
  type OutcomeRecord,
  type Price,
  type ProviderCall,
  type Usage,
} from "@sluice/contract";
import { failureTable } from "@sluice/policy";
import type { z } from "zod";
import { stopCodes, type AttemptEnd } from "./attempt-end.ts";
import { attempt, type AttemptSettings } from "./attempt.ts";
import type { Events } from "./events.ts";
import type { InFlight } from "./in-flight.ts";
import {
  collectMeasures,
  type DeclaredMeasures,
  type MeasureCollector,
} from "./measure-collector.ts";
import type { OpenDecision } from "./open-decision.ts";
import { parseOutput } from "./parse-output.ts";
import type { SafePath } from "./safe-path.ts";
import type { Safety } from "./safety.ts";
import type { Tripwire } from "./tripwire.ts";
import type { Work } from "./work.ts";

export interface Executor<In, Ok, Failed, Stub> {
  readonly attempt: AttemptSettings<In>;
  readonly contract: Contract<z.ZodType<Ok>, z.ZodType<Failed>, z.ZodType<Stub>>;
  readonly safePath: SafePath<In, Failed, Stub>;
  readonly onFailure: "failed" | "stub";
  readonly safety: Safety;
  readonly tripwire: Tripwire;
  readonly inFlight: InFlight<In>;
  readonly maxOutputTokens: number | undefined;
  readonly price: Price | undefined;
  readonly measures: DeclaredMeasures | undefined;
  readonly measure: ((value: Ok, input: In) => unknown) | undefined;
  readonly newId: NewId;
  readonly events: Events;
}

/** What running on the AI path came to, before the failure policy. */
type Ran<Ok> =
  | { readonly kind: "succeeded"; readonly value: Ok }
  | { readonly kind: "failed"; readonly code: FailureCode }
  | { readonly kind: "shut"; readonly reason: Reason };

interface Run<Ok> {
  readonly ran: Ran<Ok>;
  readonly attempts: readonly AttemptRecord[];
  readonly usage: Usage | undefined;
}

/** Does what the decision says. It never throws, and every hold is given back on every path. */
export async function execute<In, Ok, Failed, Stub>(
  executor: Executor<In, Ok, Failed, Stub>,
  decision: OpenDecision<In>,
  work: Work<In>,
): Promise<Outcome<Ok, Failed, Stub>> {
  const { clock } = executor.attempt;
  const startedMs = clock.monotonicMs();
  const measures = collectMeasures(executor.measures, executor.events);
  const record = (run?: Run<Ok>, fallbackUsed = false): OutcomeRecord => ({
    fallbackUsed,
    latencyMs: clock.monotonicMs() - startedMs,
    attempts: run?.attempts ?? [],
    measures: measures.values,
    ...(run !== undefined && run.attempts.length > 0
      ? { selectedProvider: executor.attempt.provider.name }
      : {}),
    ...(run?.usage === undefined ? {} : { usage: run.usage }),
    ...(run?.usage === undefined || executor.price === undefined
      ? {}
      : { costNanoUsd: costNanoUsd(run.usage, executor.price) }),
  });

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

  const failed = (code: FailureCode, run?: Run<Ok>): Outcome<Ok, Failed, Stub> => ({
    status: "FAILED",
    // Without a run it was the stub itself that failed.
    path: run === undefined ? "stub" : "ai",
    decision,
    value: executor.safePath.failed(code),
    failure: { code },
    record: record(run),
  });

  const stubbed = async (reason: Reason, run?: Run<Ok>): Promise<Outcome<Ok, Failed, Stub>> => {
    const value = await executor.safePath.stub(work.context.input, measures);
    if (value === undefined) return failed(FailureCode.INTERNAL, run);
    const fallbackUsed = run !== undefined;
    return {
      status: "STUBBED",
      path: "stub",
      decision,
      value,
      reason,
      record: record(run, fallbackUsed),
    };
  };

  if (decision.effect === "divert") {
    return stubbed(decision.reason ?? Reason.FLAG_OFF);
  }

  const run = await runAttempt(executor, work, measures);
  const { ran } = run;
  if (ran.kind === "shut") return stubbed(ran.reason, run);
  if (ran.kind === "succeeded") {
    return { status: "SUCCEEDED", path: "ai", decision, value: ran.value, record: record(run) };
  }
  // Nobody is there to read the safe path's answer.
  if (executor.onFailure === "failed" || ran.code === FailureCode.CLIENT_ABORTED) {
    return failed(ran.code, run);
  }
  const value = await executor.safePath.stub(work.context.input, measures);
  if (value === undefined) return failed(ran.code, run);
  return {
    status: "FAILED",
    path: "stub",
    decision,
    value,
    failure: { code: ran.code },
    record: record(run, true),
  };
}

async function runAttempt<In, Ok, Failed, Stub>(
  executor: Executor<In, Ok, Failed, Stub>,
  work: Work<In>,
  measures: MeasureCollector,
): Promise<Run<Ok>> {
  const { inFlight, safety, tripwire } = executor;
  const { request, input, reservation } = work.context;
  const { clock, provider } = executor.attempt;
  let end: HoldEnd = { how: "void" };
  try {
    const shut = safety.shut();
    if (shut !== undefined) return notRun({ kind: "shut", reason: shut.reason });
    if (tripwire.hasTripped(request.run)) {
      return notRun({ kind: "shut", reason: Reason.TRIPPED });
    }
    if (request.signal?.aborted === true) {
      return notRun({ kind: "failed", code: FailureCode.CLIENT_ABORTED });
    }
    // From here on it is not certain that nothing left, until a provider says so.
    end = { how: "settle", health: "neutral" };
    const startedMs = clock.monotonicMs();
    const ended = await attempt(executor.attempt, work, {
      input,
      schema: executor.contract.askable,
      maxOutputTokens: reservation?.outputTokens ?? executor.maxOutputTokens,
      reserved: reservation && amountsOf(reservation),
      idempotencyKey: executor.newId(),
      measure: (report) => measures.report(report),
    });
    const latencyMs = clock.monotonicMs() - startedMs;
    const ran = judge(executor, ended);
    if (ran.kind === "succeeded" && executor.measure !== undefined) {
      reportMeasures(executor, ran.value, input, measures);
    }
    const usage = ended.kind === "reply" ? ended.reply.usage : undefined;
    const code = codeOf(ran);
    const dispatched = ended.kind === "stopped" || ended.reply.ok || ended.reply.dispatched;
    const health = code === undefined ? "success" : failureTable[code].health;
    end = dispatched ? { how: "settle", usage, health } : { how: "void", health };
    if (ran.kind !== "shut" && code !== FailureCode.CLIENT_ABORTED) {
      tripwire.observe(request.run, {
        subject: request.subject,
        latencyMs,
        error: code !== undefined && failureTable[code].error,
        schemaFailure: code !== undefined && failureTable[code].schemaFailure,
      });
    }
    const attempted: AttemptRecord = {
      provider: provider.name,
      latencyMs,
      ...(provider.model === undefined ? {} : { model: provider.model }),
      ...(code === undefined ? {} : { code }),
    };
    return { ran, attempts: [attempted], usage };
  } finally {
    inFlight.remove(work);
    work.end(end);
  }
}

/** What is reserved, without the means to give it back. */
function amountsOf({
  inputTokens,
  outputTokens,
  costNanoUsd: reservedNanoUsd,
}: BudgetReservation): ProviderCall<unknown>["reserved"] {
  return { inputTokens, outputTokens, costNanoUsd: reservedNanoUsd };
}

function notRun<Ok>(ran: Ran<Ok>): Run<Ok> {
  return { ran, attempts: [], usage: undefined };
}

function judge<In, Ok, Failed, Stub>(
  executor: Executor<In, Ok, Failed, Stub>,
  ended: AttemptEnd,
): Ran<Ok> {
  if (ended.kind === "stopped") {
    const { cause } = ended;
    return cause.kind === "shut"
      ? { kind: "shut", reason: cause.reason }
      : { kind: "failed", code: stopCodes[cause.kind] };
  }
  const { reply } = ended;
  if (!reply.ok) return { kind: "failed", code: reply.code };
  try {
    const parsed = parseOutput(executor.contract.ok, reply.output);
    return parsed.ok
      ? { kind: "succeeded", value: parsed.value }
      : { kind: "failed", code: parsed.code };
  } catch {
    // A refinement of the contract that throws or is asynchronous.
    executor.events.alertOnce("contract", {
      code: "DEPENDENCY_THREW",
      message: "the contract's ok member threw while parsing; its refinements must be synchronous",
    });
    return { kind: "failed", code: FailureCode.INTERNAL };
  }
}

function codeOf(ran: Ran<unknown>): FailureCode | undefined {
  if (ran.kind === "failed") return ran.code;
  return ran.kind === "shut" ? stopCodes.shut : undefined;
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
