import type { Clock, Decision, Outcome } from "@sluice/contract";
import {
  machineRandom,
  readInput,
  type Guard,
  type Problem,
  type ShadowGuard,
} from "@sluice/guard";
import type { z } from "zod";
import { createLater } from "./later.ts";
import { comparedWith, type LegacyAnswer } from "./parity.ts";
import type { Reader } from "./reader.ts";
import type { ShadowDefaults } from "./shadow-options.ts";
import { skipCauses, type SkipCause, type WatchedCall } from "./watched-call.ts";

/** One request that may be watched. */
export interface Ticket<In> {
  readonly bodyLimitBytes: number;
  /** How much of the legacy answer is wanted; 0: nothing but its end. */
  readonly answerLimitBytes: number;
  /** Never rejects. Resolves once nothing of it is left. */
  watch(call: WatchedCall<In>): Promise<void>;
}

/** What runs beside the legacy handler. Nothing of it can be seen by a client. */
export interface Shadow<In> {
  /** Undefined where as many are watched as may be, and once it was stopped. Never throws. */
  ticket(): Ticket<In> | undefined;
  readonly watched: number;
  readonly mirrors: number;
  /** Requests that were not looked at, since the start. */
  readonly skipped: Readonly<Record<SkipCause, number>>;
  /** Aborts the mirrored calls; nothing further is watched. */
  stop(): void;
}

/**
 * The shadow lives up to so long after the requests that it watches: its work is done on the processor that
 * answers them, and together takes the least of it. In their order requests begin and end, so that what is in
 * flight at the same time is so for the shadow.
 */
const behindMs = 50;
/** What has not ended after so long is waited for no more: a host may never say that it did. */
const watchedMs = 5 * 60_000;

const unanswered: LegacyAnswer = {
  status: undefined,
  contentType: undefined,
  body: undefined,
  complete: false,
  latencyMs: watchedMs,
};

const causeOf = ({ status }: Problem): SkipCause => (status === 413 ? "too_large" : "invalid");

/** Half an answer is compared with nothing: what a mirror still costs would be for nothing, too. */
function whileWaitedFor(legacy: Promise<LegacyAnswer>): AbortSignal {
  const left = new AbortController();
  void legacy.then(({ complete }) => complete || left.abort());
  return left.signal;
}

/** @throws ConfigError where mirrored calls can't be kept within their money */
export function createShadow<In, Ok, Failed, Stub>(parts: {
  readonly guard: Guard<In, Ok, Failed, Stub>;
  readonly input: z.ZodType<In>;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly settings: ShadowDefaults;
}): Shadow<In> {
  const { guard, input, reader, clock, settings } = parts;
  const { mirrorShare, maxMirrors, maxWatched, costNanoUsdPerDay, maxOutputTokens } = settings;
  const random = settings.random ?? machineRandom;
  const skipped = Object.fromEntries(skipCauses.map((cause) => [cause, 0])) as Record<
    SkipCause,
    number
  >;
  let watched = 0;
  let mirrors = 0;
  let isStopped = false;
  let beside: ShadowGuard<In, Ok, Failed, Stub> | undefined;

  const shadowGuard = (): ShadowGuard<In, Ok, Failed, Stub> =>
    (beside ??= guard.shadow({ costNanoUsdPerDay, maxOutputTokens }));
  // Who only checks has none before it is needed; what a mirror lacks is told at the start.
  if (mirrorShare > 0) shadowGuard();

  const compare = comparedWith({ guard, settings });
  const later = createLater(clock, behindMs);

  const mirror = async (
    of: ShadowGuard<In, Ok, Failed, Stub>,
    decision: Decision,
    legacy: Promise<LegacyAnswer>,
  ): Promise<void> => {
    const startedMs = clock.monotonicMs();
    let outcome: Outcome<Ok, Failed, Stub>;
    mirrors += 1;
    try {
      outcome = await of.execute(decision);
    } finally {
      mirrors -= 1;
    }
    const latencyMs = clock.monotonicMs() - startedMs;
    // What the caps of the mirror itself did not let through compares with nothing.
    if (outcome.status === "STUBBED" || outcome.status === "REJECTED") return;
    const figures = compare({ outcome, latencyMs }, await legacy);
    if (figures !== undefined) of.noteParity(figures);
  };

  const look = async (
    call: WatchedCall<In>,
    until: { readonly over: Promise<void>; readonly late: Promise<void> },
    mayMirror: boolean,
  ): Promise<SkipCause | undefined> => {
    const copied = await Promise.race([
      call.copied,
      until.late.then(() => ({ skipped: "failed" }) as const),
    ]);
    if ("skipped" in copied) return copied.skipped;
    if ("problem" in copied) return causeOf(copied.problem);
    const parsed = await copied.parse();
    if ("problem" in parsed) return causeOf(parsed.problem);
    const read = reader.read(parsed.body, call.accept);
    const checked = "problem" in read ? read : readInput(input, read.input);
    if ("problem" in checked) return "invalid";
    const of = shadowGuard();
    const decision = await of.decide(checked.input, {
      ...call.request(checked.input),
      subject: call.subject(),
      signal: mayMirror ? whileWaitedFor(call.legacy) : undefined,
      // Each limit is looked at by itself, so that one does not hide what another would have said.
      switches: { ...call.switches, FF_ADMISSION_ENFORCE: false },
    });
    if (decision.effect === "allow" && mayMirror && mirrors < maxMirrors) {
      await mirror(of, decision, Promise.race([call.legacy, until.late.then(() => unanswered)]));
      return undefined;
    }
    // As long as the request lasts it has its places.
    await Promise.race([until.over, until.late]);
    of.giveUp(decision);
    return undefined;
  };

  const watch = async (call: WatchedCall<In>, mayMirror: boolean): Promise<void> => {
    watched += 1;
    const over = call.legacy.then(later);
    await later();
    const late = Promise.withResolvers<void>();
    // An interval, since those of the machine keep no process alive.
    const stop = clock.every(watchedMs, () => late.resolve());
    try {
      if (isStopped) return;
      const cause = await look(call, { over, late: late.promise }, mayMirror);
      if (cause !== undefined) skipped[cause] += 1;
    } catch {
      skipped.failed += 1;
    } finally {
      stop();
      watched -= 1;
    }
  };

  return {
    ticket() {
      if (isStopped) return undefined;
      if (watched >= maxWatched) {
        skipped.busy += 1;
        return undefined;
      }
      let mayMirror = false;
      try {
        mayMirror = mirrorShare > 0 && mirrors < maxMirrors && random() < mirrorShare;
      } catch {
        // It is theirs; nothing is mirrored.
      }
      return {
        bodyLimitBytes: settings.bodyLimitBytes,
        answerLimitBytes: mayMirror ? settings.answerLimitBytes : 0,
        watch: (call) => watch(call, mayMirror),
      };
    },
    get watched() {
      return watched;
    },
    get mirrors() {
      return mirrors;
    },
    get skipped() {
      return { ...skipped };
    },
    stop() {
      isStopped = true;
      if (mirrors > 0) beside?.kill();
    },
  };
}
