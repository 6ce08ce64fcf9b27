import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamResult,
} from "@ai-sdk/provider";
import { FailureCode, Reason, type Decision } from "@sluice/contract";
import type { HandedOver, HandedOverEnd } from "@sluice/guard";
import { failureOfCall } from "./failure-of-error.ts";
import { failureOfFinish } from "./failure-of-finish.ts";
import type { ModelGuard } from "./model-guard.ts";
import { Pump, type FailedCall } from "./pump.ts";
import { SluiceDeniedError } from "./sluice-denied-error.ts";
import { SluiceFailedError } from "./sluice-failed-error.ts";
import { toEnd } from "./to-end.ts";
import { toStopError } from "./to-stop-error.ts";
import { takeSluiceOptions } from "./sluice-call-options.ts";
import { toUsage } from "./to-usage.ts";

type Params = LanguageModelV4CallOptions;

/** The two ways to call a model, behind its guard. */
export interface GuardedCalls {
  generate(model: LanguageModelV4, params: Params): Promise<LanguageModelV4GenerateResult>;
  stream(model: LanguageModelV4, params: Params): Promise<LanguageModelV4StreamResult>;
}

/** A call that the guard let through, or the error of one that it did not. */
type Entered =
  | { readonly handed: HandedOver; readonly decision: Decision; readonly params: Params }
  | { readonly denied: SluiceDeniedError; readonly params: Params };

/**
 * Calls of a model behind a guard, one attempt each: a failed call is the AI SDK's to make again, and
 * each of those is decided anew.
 */
export function guardedCalls(options: {
  readonly guard: ModelGuard;
  readonly subject: string | ((params: Params) => string);
  readonly fallback: LanguageModelV4 | undefined;
}): GuardedCalls {
  const { guard, subject, fallback } = options;

  const enter = async (asked: Params): Promise<Entered> => {
    const { own, params } = takeSluiceOptions(asked);
    const decision = await guard.decide(params, {
      ...own,
      subject: own.subject ?? (typeof subject === "string" ? subject : subject(asked)),
      signal: params.abortSignal,
    });
    const handed = guard.handOver(decision);
    if (!("barred" in handed)) return { handed, decision, params };
    const { barred } = handed;
    if (isReason(barred)) return { denied: toDenied(decision, barred), params };
    throw toStopError(barred, params.abortSignal);
  };

  const guarded = async <T extends object>(
    asked: Params,
    call: (params: Params, handed: HandedOver) => Promise<T | FailedCall>,
    safePath: (model: LanguageModelV4, params: Params) => PromiseLike<T>,
  ): Promise<T> => {
    const entered = await enter(asked);
    const { params } = entered;
    let denied: SluiceDeniedError;
    if ("denied" in entered) {
      ({ denied } = entered);
    } else {
      const { handed, decision } = entered;
      const ended = await call(params, handed);
      if (!("failed" in ended)) return ended;
      // Shut before anything was written: as if it had never been allowed.
      if (handed.stopped !== FailureCode.KILLED) throw toThrown(ended, handed, params.abortSignal);
      denied = toDenied(decision, Reason.KILLED);
    }
    if (denied.effect === "reject" || fallback === undefined) throw denied;
    return safePath(fallback, params);
  };

  return {
    generate: (model, asked) =>
      guarded(
        asked,
        (params, handed) => generateOnce(model, params, handed),
        (other, params) => other.doGenerate(params),
      ),
    stream: (model, asked) =>
      guarded(
        asked,
        (params, handed) => streamOnce(model, params, handed),
        (other, params) => other.doStream(params),
      ),
  };
}

async function generateOnce(
  model: LanguageModelV4,
  params: Params,
  handed: HandedOver,
): Promise<LanguageModelV4GenerateResult | FailedCall> {
  try {
    const result = await untilStopped(
      started(() => model.doGenerate(callParams(params, handed))),
      handed.signal,
    );
    const usage = toUsage(result.usage);
    const code = failureOfFinish(result.finishReason);
    const inForce = handed.end(
      code === undefined ? { ok: true, usage } : { ok: false, code, dispatched: true, usage },
    );
    if (handed.stopped === undefined) return result;
    return { failed: inForce ?? handed.stopped, error: undefined };
  } catch (error) {
    return failedCall(handed, toEnd(failureOfCall(error, handed.signal)), error);
  }
}

async function streamOnce(
  model: LanguageModelV4,
  params: Params,
  handed: HandedOver,
): Promise<LanguageModelV4StreamResult | FailedCall> {
  // The time to the first content counts from here, whenever headers come.
  handed.streams();
  const call = started(() => model.doStream(callParams(params, handed)));
  try {
    const result = await untilStopped(call, handed.signal);
    const opened = await new Pump(result.stream, handed, params.abortSignal).open();
    return "failed" in opened ? opened : { ...result, stream: opened };
  } catch (error) {
    void cancelLate(call);
    return failedCall(handed, toEnd(failureOfCall(error, handed.signal)), error);
  }
}

/** A model made by hand may throw before it has a promise. */
async function started<T>(call: () => PromiseLike<T>): Promise<T> {
  return call();
}

/** Does not wait for a model that ignores its signal. */
async function untilStopped<T>(call: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([call, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A stream that comes after nobody wants it any more. */
async function cancelLate(call: Promise<LanguageModelV4StreamResult>): Promise<void> {
  try {
    await (await call).stream.cancel();
  } catch {
    // It never came, or takes being left badly; both are its own affair.
  }
}

function callParams(params: Params, { signal, maxOutputTokens }: HandedOver): Params {
  const cap = Math.min(params.maxOutputTokens ?? Infinity, maxOutputTokens ?? Infinity);
  return {
    ...params,
    abortSignal: signal,
    ...(cap === Infinity ? {} : { maxOutputTokens: cap }),
  };
}

function failedCall(handed: HandedOver, result: HandedOverEnd, error: unknown): FailedCall {
  const inForce = handed.end(result);
  return { failed: inForce ?? FailureCode.INTERNAL, error };
}

function toDenied(decision: Decision, reason: Reason): SluiceDeniedError {
  const effect = decision.effect === "reject" ? "reject" : "divert";
  return new SluiceDeniedError({ effect, reason, decision });
}

function isReason(why: Reason | FailureCode): why is Reason {
  return Object.hasOwn(Reason, why);
}

/**
 * What the AI SDK is thrown. An upstream's error is its own, so that the SDK retries what it would have
 * retried without a guard; what the guard stopped is not retried.
 */
function toThrown(
  { failed, error }: FailedCall,
  { stopped }: HandedOver,
  client: AbortSignal | undefined,
): unknown {
  if (stopped !== undefined) return toStopError(failed, client);
  return error instanceof Error ? error : new SluiceFailedError(failed, { cause: error });
}
