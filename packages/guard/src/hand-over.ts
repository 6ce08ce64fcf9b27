import { Reason, type FailureCode, type ProviderAsk } from "@sluice/contract";
import { stopCodes, type AttemptEnd, type StopCause } from "./attempt-end.ts";
import { noteAttempt, recordOfAttempt } from "./attempt-once.ts";
import type { Ended } from "./event-builders.ts";
import type { Executor } from "./execute.ts";
import type { Barred, HandedOver } from "./handed-over.ts";
import type { OpenDecision } from "./open-decision.ts";
import { requestIdOf, toRecord } from "./outcome-record.ts";
import { Running } from "./running.ts";
import { endOfAttempt } from "./settle-end.ts";
import { whyBarred } from "./why-barred.ts";
import type { Work } from "./work.ts";

/** A call that was stopped, and that nobody ends, gives its holds back after so long. */
const unendedMs = 30_000;

/**
 * Lets the caller make the one call that a decision allows: for those whose own machinery executes, such as
 * the AI SDK's. The attempt is one like any other: kill looked at again, permit, reservation, clocks.
 */
export function handOver<In, Ok, Failed, Stub>(
  executor: Executor<In, Ok, Failed, Stub>,
  decision: OpenDecision<In>,
  work: Work<In>,
  onEnded: (ended: Ended) => void,
): HandedOver | Barred {
  const { clock, inFlight, totalMs } = executor;
  const { context } = work;
  const startedMs = clock.monotonicMs();
  const requestId = requestIdOf(decision, work);

  const bar = (why: Barred["barred"], status: Ended["status"] = "STUBBED"): Barred => {
    inFlight.remove(work);
    work.end({ how: "void" });
    const isReason = Object.hasOwn(Reason, why);
    onEnded({
      status: isReason ? status : "FAILED",
      path: status === "REJECTED" ? "none" : executor.safePath.path,
      decision,
      ...(isReason ? { reason: why as Reason } : { failure: { code: why as FailureCode } }),
      record: toRecord({
        requestId,
        latencyMs: 0,
        firstContentMs: undefined,
        measures: {},
        run: undefined,
        safePathUsed: false,
      }),
    });
    return { barred: why };
  };

  if (decision.effect !== "allow") {
    const isRejected = decision.effect === "reject";
    return bar(decision.reason ?? Reason.FLAG_OFF, isRejected ? "REJECTED" : "STUBBED");
  }
  const barred = whyBarred(executor, work, startedMs + totalMs);
  if (barred !== undefined) return bar(barred.kind === "shut" ? barred.reason : barred.code);
  const plan = context.plan();
  const candidate = plan.candidates[context.permit?.index ?? 0];
  if (candidate === undefined) return bar(Reason.CIRCUIT_OPEN);
  const ask: ProviderAsk<In> = {
    input: context.input,
    schema: undefined,
    tools: [],
    steps: [],
    model: candidate.config.model,
  };
  const held = executor.holdTaker.first(work, candidate, ask);
  // Its gates set everything aside for this candidate, so that nobody need be asked again.
  if (held instanceof Promise) {
    void held.then((late) => "holds" in late && work.release(late.holds, { how: "void" }));
    return bar(Reason.STORE_UNAVAILABLE);
  }
  if ("refused" in held) return bar(held.refused);
  if ("skip" in held) return bar(Reason.CIRCUIT_OPEN);

  executor.retries.noteCall();
  const attemptMs = Math.min(candidate.timeoutMs, totalMs);
  const running = new Running(work, clock, { ...executor.clocks, attemptMs });
  const client = context.request.signal;
  const clientGone = (): void => running.stop({ kind: "client" });
  client?.addEventListener("abort", clientGone, { once: true });
  let forgetUnended: (() => void) | undefined;
  let over: { readonly code: FailureCode | undefined } | undefined;

  const handed: HandedOver = {
    signal: running.signal,
    maxOutputTokens: held.reservation?.outputTokens ?? executor.maxOutputTokens,
    idempotencyKey: executor.newId(),
    get stopped() {
      return codeOfStop(running.cause);
    },
    streams: () => running.streams(),
    content: (bytes) => running.content(bytes),
    progress: () => running.progress(),
    awaitsReader: (awaits) => running.awaitsReader(awaits),
    end(how) {
      if (over !== undefined) return over.code;
      const { cause, seen } = running;
      const ended: AttemptEnd =
        cause === undefined
          ? {
              kind: "reply",
              seen,
              reply: how.ok
                ? { ok: true, output: { kind: "text", text: "" }, usage: how.usage }
                : how,
            }
          : { kind: "stopped", cause, seen };
      const code = codeOfStop(cause) ?? (how.ok ? undefined : how.code);
      over = { code };
      running.end();
      client?.removeEventListener("abort", clientGone);
      forgetUnended?.();
      const latencyMs = clock.monotonicMs() - running.startedMs;
      noteAttempt(executor, work, candidate, ended, code, latencyMs);
      work.release(held.holds, endOfAttempt(ended, code, held.reservation));
      inFlight.remove(work);
      work.end({ how: "settle", health: "neutral" });
      const attempt = recordOfAttempt(candidate, ended, code, latencyMs);
      onEnded({
        status: code === undefined ? "SUCCEEDED" : "FAILED",
        path: "ai",
        decision,
        ...(code === undefined ? {} : { failure: { code } }),
        record: toRecord({
          requestId,
          latencyMs: clock.monotonicMs() - startedMs,
          firstContentMs: seen.firstContentMs,
          measures: {},
          safePathUsed: false,
          run: {
            strategy: plan.strategy,
            requested: plan.requested,
            selected: candidate.provider.name,
            answered: candidate.provider.name,
            promptTemplateVersion: candidate.config.promptTemplateVersion,
            attempts: [attempt],
            skipped: [...plan.skipped, ...context.skipped],
            tools: [],
            usage: attempt.usage,
            costNanoUsd: attempt.costNanoUsd,
          },
        }),
      });
      return code;
    },
  };
  const onUnended = (): void => void handed.end({ ok: true });
  const onStopped = (): void => {
    forgetUnended = clock.after(unendedMs, onUnended);
  };
  running.signal.addEventListener("abort", onStopped, { once: true });
  return handed;
}

function codeOfStop(cause: StopCause | undefined): FailureCode | undefined {
  return cause && stopCodes[cause.kind];
}
