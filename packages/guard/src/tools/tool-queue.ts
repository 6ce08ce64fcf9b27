import { Reason, type Clock } from "@sluice/contract";
import { createFairLine } from "./fair-line.ts";
import type { ToolQueueSettings } from "./tool-queue-options.ts";

export type ToolQueueRefusal = typeof Reason.TOOL_QUEUE_FULL | typeof Reason.TOOL_QUEUE_TIMEOUT;

/** How long a call waited: in an advisory queue, how long an enforced one would have made it wait. */
export interface ToolWait {
  readonly waitMs: number;
  /** The refusal that it would have met in an enforced queue. */
  readonly would?: ToolQueueRefusal;
}

export type ToolEntrance =
  /** It may run; `leave` when it has ended, however. Only the first call counts. */
  | { readonly kind: "place"; leave(): ToolWait }
  | { readonly kind: "refused"; readonly reason: ToolQueueRefusal; readonly waitMs: number }
  | { readonly kind: "aborted"; readonly waitMs: number };

export interface ToolQueueAsk {
  readonly subject: string;
  /** What it keeps in memory while it waits. */
  readonly bytes: number;
  /** When its request ends at the latest, by the monotonic clock. */
  readonly deadlineMs?: number | undefined;
  /** Calls when the request is stopped; the returned function takes it back. */
  readonly onStop?: (stop: () => void) => () => void;
}

/** Figures of an advisory queue are those that an enforced one would have, but for `running`. */
export interface ToolQueueState {
  readonly running: number;
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly oldestAgeMs: number;
  /** Refusals since the start. */
  readonly refused: number;
}

export interface ToolQueue {
  /** Answers at once, unless the call has to wait. Never rejects. */
  enter(ask: ToolQueueAsk): ToolEntrance | Promise<ToolEntrance>;
  state(): ToolQueueState;
}

/** So many turns ahead are worked out; who stands behind them waits at least as long as they do. */
const maxForeseen = 1000;

/** One call. Where the queue only advises, what it does and what it would do are apart. */
interface Call {
  readonly bytes: number;
  readonly enteredMs: number;
  /** Its turn must come before. */
  readonly limitMs: number;
  /** It really runs since, and has really ended. */
  startedMs: number | undefined;
  endedMs: number | undefined;
  /** Known once its turn came, or will not come. */
  wait: ToolWait | undefined;
  /** How much later than in fact its turn came. */
  lagMs: number;
  /** Ended in fact, and in its turn only then. */
  freeMs: number | undefined;
  leaveLine: (() => void) | undefined;
  /** Answers who waits in fact. */
  answer: ((entrance: ToolEntrance) => void) | undefined;
  cancelTimer: (() => void) | undefined;
  offStop: (() => void) | undefined;
}

/**
 * A queue of this process: caps by count and bytes, one of each subject a round, nobody longer than the
 * timeout. p-limit can neither drop one that waits nor be fair.
 *
 * An advisory queue runs the very same line without making anybody stand in it: a call runs at once, and
 * its shadow waits, is refused, takes its turn and keeps its place for as long as the call really took.
 * A shadow never ends before its call, so the shadows' past is exact whenever it is looked at, and no
 * timer has to play it.
 * @param options.enforce asked whenever something happens; a change takes effect for those who wait too
 */
export function createToolQueue(
  options: ToolQueueSettings & { readonly clock: Clock; readonly enforce: () => boolean },
): ToolQueue {
  const { clock, enforce, concurrency, maxWaiting, maxWaitingBytes, timeoutMs } = options;
  const line = createFairLine<Call>();
  /** Whose turn has come and is not over. */
  const holders = new Set<Call>();
  let enforced = enforce();
  let running = 0;
  let waitingBytes = 0;
  let refused = 0;
  /** No shadow reaches its limit before. */
  let soonestLimitMs = Number.POSITIVE_INFINITY;

  // After a change to enforced, more may run than hold a place; they have to end first.
  const isFull = (): boolean => (enforced ? running : holders.size) >= concurrency;

  const start = (call: Call, now: number): void => {
    call.startedMs = now;
    running += 1;
  };

  const stepOut = (call: Call): void => {
    call.leaveLine?.();
    call.leaveLine = undefined;
    waitingBytes -= call.bytes;
  };

  /** A shadow may outlive its request, and must keep nothing of it alive. */
  const hearNoStop = (call: Call): void => {
    call.offStop?.();
    call.offStop = undefined;
  };

  /** Nobody waits for it in fact any longer. */
  const answer = (call: Call, entrance: ToolEntrance): void => {
    call.cancelTimer?.();
    call.cancelTimer = undefined;
    call.answer?.(entrance);
    call.answer = undefined;
    if (entrance.kind !== "place") hearNoStop(call);
  };

  const refuse = (call: Call, reason: ToolQueueRefusal, waitMs: number): void => {
    refused += 1;
    call.wait = { waitMs, would: reason };
    answer(call, { kind: "refused", reason, waitMs });
  };

  const grant = (call: Call, now: number): void => {
    if (call.startedMs === undefined) start(call, now);
    call.wait = { waitMs: now - call.enteredMs };
    call.lagMs = now - (call.startedMs ?? now);
    if (call.endedMs !== undefined) call.freeMs = call.endedMs + call.lagMs;
    holders.add(call);
    answer(call, placeOf(call));
  };

  /** Free places go to whose turn it is. */
  const giveOn = (now: number): void => {
    while (!isFull()) {
      const next = line.take();
      if (next === undefined) return;
      next.leaveLine = undefined;
      waitingBytes -= next.bytes;
      if (next.limitMs > now) grant(next, now);
      else refuse(next, Reason.TOOL_QUEUE_TIMEOUT, next.limitMs - next.enteredMs);
    }
  };

  /** Takes out the shadows whose limit has come; no turn of their subject is used up by that. */
  const expireShadows = (now: number): void => {
    if (now < soonestLimitMs) return;
    soonestLimitMs = Number.POSITIVE_INFINITY;
    for (const call of line.inTurn()) {
      if (call.limitMs > now) soonestLimitMs = Math.min(soonestLimitMs, call.limitMs);
      else {
        stepOut(call);
        refuse(call, Reason.TOOL_QUEUE_TIMEOUT, call.limitMs - call.enteredMs);
      }
    }
  };

  /** What the shadows have done up to now, in its order. */
  const playShadows = (now: number): void => {
    for (;;) {
      let next: { readonly call: Call; readonly freeMs: number } | undefined;
      for (const call of holders) {
        const { freeMs } = call;
        if (freeMs === undefined || freeMs > now) continue;
        if (next === undefined || freeMs < next.freeMs) next = { call, freeMs };
      }
      if (next === undefined) break;
      expireShadows(next.freeMs);
      holders.delete(next.call);
      giveOn(next.freeMs);
    }
    expireShadows(now);
  };

  /** From here on calls really wait: what runs keeps its place, what was only imagined is gone. */
  const obey = (now: number): void => {
    for (const call of line.inTurn()) {
      stepOut(call);
      call.wait = { waitMs: now - call.enteredMs };
      if (call.endedMs === undefined) holders.add(call);
    }
    for (const call of holders) {
      call.lagMs = 0;
      if (call.freeMs !== undefined) holders.delete(call);
    }
  };

  /** From here on nobody waits: who does goes ahead, and its shadow stays in the line. */
  const letGo = (now: number): void => {
    for (const call of line.inTurn()) {
      start(call, now);
      answer(call, placeOf(call));
    }
    giveOn(now);
  };

  const look = (): number => {
    const now = clock.monotonicMs();
    if (!enforced) playShadows(now);
    if (enforced !== enforce()) {
      enforced = !enforced;
      if (enforced) obey(now);
      else letGo(now);
    }
    return now;
  };

  /** When the turn of a shadow whose call has ended comes, by all that is known now. */
  const foresee = (call: Call, now: number): ToolWait => {
    const frees = [...holders].map(({ freeMs, lagMs }) => freeMs ?? now + lagMs);
    frees.sort((one, other) => one - other);
    frees.splice(0, frees.length - concurrency);
    for (const next of line.inTurn().slice(0, maxForeseen)) {
      const turnMs = frees[0] ?? now;
      const isLate = next.limitMs <= turnMs;
      if (next === call) {
        if (!isLate) return { waitMs: turnMs - call.enteredMs };
        return { waitMs: call.limitMs - call.enteredMs, would: Reason.TOOL_QUEUE_TIMEOUT };
      }
      if (isLate) continue;
      const freeMs = turnMs + (next.endedMs ?? now) - (next.startedMs ?? now);
      frees.shift();
      const after = frees.findIndex((other) => other > freeMs);
      frees.splice(after < 0 ? frees.length : after, 0, freeMs);
    }
    return { waitMs: (frees[0] ?? now) - call.enteredMs };
  };

  const leave = (call: Call): ToolWait => {
    const now = look();
    if (call.endedMs === undefined) {
      call.endedMs = now;
      running -= 1;
      hearNoStop(call);
      if (call.lagMs > 0) call.freeMs = now + call.lagMs;
      else holders.delete(call);
      giveOn(now);
    }
    return call.wait ?? foresee(call, now);
  };

  function placeOf(call: Call): ToolEntrance {
    return { kind: "place", leave: () => leave(call) };
  }

  const stop = (call: Call): void => {
    const now = look();
    // An enforced queue would not have let it run at all, or its run would be over now.
    call.lagMs = 0;
    if (call.leaveLine === undefined) return;
    stepOut(call);
    const waitMs = now - call.enteredMs;
    call.wait = { waitMs };
    answer(call, { kind: "aborted", waitMs });
  };

  const timeOut = (call: Call): void => {
    const now = look();
    if (call.answer === undefined) return;
    stepOut(call);
    refuse(call, Reason.TOOL_QUEUE_TIMEOUT, now - call.enteredMs);
  };

  const wait = (call: Call, subject: string): void => {
    call.leaveLine = line.add(subject, call);
    waitingBytes += call.bytes;
    soonestLimitMs = Math.min(soonestLimitMs, call.limitMs);
  };

  return {
    enter(ask) {
      const now = look();
      const call: Call = {
        bytes: ask.bytes,
        enteredMs: now,
        limitMs: Math.min(now + timeoutMs, ask.deadlineMs ?? Number.POSITIVE_INFINITY),
        startedMs: undefined,
        endedMs: undefined,
        wait: undefined,
        lagMs: 0,
        freeMs: undefined,
        leaveLine: undefined,
        answer: undefined,
        cancelTimer: undefined,
        offStop: undefined,
      };
      if (!enforced) start(call, now);
      const isOver = line.size >= maxWaiting || waitingBytes + ask.bytes > maxWaitingBytes;
      if (!isFull()) grant(call, now);
      else if (isOver) refuse(call, Reason.TOOL_QUEUE_FULL, 0);
      else if (call.limitMs <= now) refuse(call, Reason.TOOL_QUEUE_TIMEOUT, 0);
      else wait(call, ask.subject);

      const reason = call.wait?.would;
      if (call.startedMs === undefined && reason !== undefined) {
        return { kind: "refused", reason, waitMs: 0 };
      }
      let entrance: ToolEntrance | Promise<ToolEntrance> = placeOf(call);
      if (call.startedMs === undefined) {
        const { promise, resolve } = Promise.withResolvers<ToolEntrance>();
        call.answer = resolve;
        call.cancelTimer = clock.after(call.limitMs - now, () => timeOut(call));
        entrance = promise;
      }
      if (call.leaveLine !== undefined) call.offStop = ask.onStop?.(() => stop(call));
      return entrance;
    },
    state() {
      const now = look();
      const oldestAgeMs = line.oldest === undefined ? 0 : now - line.oldest.enteredMs;
      return { running, waiting: line.size, waitingBytes, oldestAgeMs, refused };
    },
  };
}
