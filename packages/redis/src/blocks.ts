import type { Clock } from "@sluice/contract";
import { blockScript } from "./block-script.ts";
import type { Deadline } from "./deadline.ts";
import type { RunScript } from "./run-script.ts";

/** How a limit is cut for the processes that share it. */
export interface BlockLimits {
  /** Undefined: no limit. */
  readonly places: { readonly limit: number; readonly block: number } | undefined;
  readonly messages:
    | { readonly emissionMs: number; readonly burst: number; readonly block: number }
    | undefined;
  /** Most processes that hold blocks at once. */
  readonly processes: number;
}

/** What is missing for one more request. */
export type Missing = "places" | "messages";

/** The part of global limits that this process holds. */
export interface Blocks {
  /** What one more needs and is not here; undefined where there is room. Nothing is taken. */
  missing(needs: Needs, nowMs?: number): Missing | undefined;
  take(needs: Needs): void;
  giveBackPlace(): void;
  /** Of a request that was refused after all. */
  giveBackMessage(): void;
  /** False once Redis may have given a place in use here to another. */
  readonly coversPlaces: boolean;
  /** One comes that has to wait: what is asked for is kept for it until it leaves. */
  enter(): void;
  leave(): void;
  /** Asks Redis for all who wait; false when it does not answer. */
  refill(): Promise<boolean>;
  /** Redis had none left when it was last asked. */
  isOut(what: Missing): boolean;
  /** Milliseconds until the rate has another message. */
  readonly messageWaitMs: number;
  /** Tells Redis what is held, and that it goes on. */
  renew(): void;
  /** Gives all places back. */
  close(): void;
}

export interface Needs {
  readonly place: boolean;
  readonly message: boolean;
}

const largestBlock = 64;
/** Of a limit, for all processes together. */
const blockShare = 0.05;

/** `min(64, 5 % of the limit / processes)`; under 1 where the limit is too small to be cut. */
export function blockOf(limit: number, processes: number): number {
  return Math.min(largestBlock, Math.floor((limit * blockShare) / processes));
}

/**
 * Places and messages are taken from Redis in blocks and given out from here. What is held and not used is
 * never more than a block of each. What Redis granted counts here from before the question was sent, so this
 * process stops using it before Redis gives it to another.
 */
export function createBlocks(parts: {
  readonly limits: BlockLimits;
  readonly keys: readonly [holders: string, rate: string];
  readonly instanceId: string;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly run: RunScript;
  readonly deadline: Deadline;
  readonly scriptTime: () => string;
}): Blocks {
  const { limits, keys, instanceId, leaseMs, clock, run, deadline, scriptTime } = parts;
  const { places, messages, processes } = limits;
  let held = 0;
  let used = 0;
  let tokens = 0;
  /** Given back beyond a block: what is kept here and used late has to stay within one. */
  let surplusTokens = 0;
  let isReturning = false;
  let dueMs = -Infinity;
  let calls = 0;
  let waiting = 0;
  let messageWaitMs = 1;
  const out = { places: false, messages: false };
  let underWay: Promise<boolean> | undefined;
  let isClosed = false;

  const dropStale = (nowMs = clock.monotonicMs()): void => {
    if (nowMs < dueMs) return;
    held = 0;
    tokens = 0;
  };

  const ask = async (wantPlaces: number, wantTokens: number): Promise<boolean> => {
    const sentMs = clock.monotonicMs();
    const reply = await deadline.within(
      run(blockScript, keys, [
        scriptTime(),
        instanceId,
        (calls += 1),
        leaseMs,
        processes,
        wantPlaces,
        places?.limit ?? 0,
        wantTokens,
        messages?.emissionMs ?? 1,
        messages === undefined ? 0 : messages.burst - messages.block * processes,
      ]),
    );
    if (!Array.isArray(reply) || isClosed) return false;
    dropStale();
    held = Number(reply[0]);
    tokens += Number(reply[1]);
    dueMs = sentMs + leaseMs;
    messageWaitMs = Math.max(1, Number(reply[2]));
    out.places = held < wantPlaces;
    out.messages = Number(reply[1]) < wantTokens;
    return true;
  };

  /** One question at a time, so that the last one told is what is held. */
  const exchange = (wantPlaces: number, wantTokens: number): Promise<boolean> => {
    underWay ??= ask(wantPlaces, lessSurplus(wantTokens)).finally(() => {
      underWay = undefined;
      giveBackSurplus();
    });
    return underWay;
  };

  /** Of the messages that are wanted, those that surplus ones are not taken for; under 0: so many go back. */
  const lessSurplus = (wantTokens: number): number => {
    const kept = Math.min(surplusTokens, wantTokens);
    surplusTokens -= kept;
    tokens += kept;
    if (surplusTokens === 0) return wantTokens - kept;
    const back = surplusTokens;
    surplusTokens = 0;
    return -back;
  };

  const returnTokens = (): void => {
    if (isReturning || underWay !== undefined) return;
    isReturning = true;
    // All that were refused in this turn go together.
    queueMicrotask(() => {
      isReturning = false;
      if (surplusTokens > 0 && !isClosed) renewNow();
    });
  };

  const more = (forWaiting: number): Promise<boolean> => {
    const wantPlaces = places === undefined ? 0 : used + half(places.block) + forWaiting;
    const wantTokens =
      messages === undefined ? 0 : Math.max(0, messages.block + forWaiting - tokens);
    return exchange(Math.max(wantPlaces, held), wantTokens);
  };

  /** But for a block, and for what those who wait are about to take. */
  const giveBackSurplus = (): void => {
    if (waiting > 0 || isClosed) return;
    if (messages !== undefined && tokens > messages.block) {
      surplusTokens += tokens - messages.block;
      tokens = messages.block;
    }
    if (surplusTokens > 0) returnTokens();
    if (places === undefined || underWay !== undefined || held - used <= places.block) return;
    held = used + half(places.block);
    void exchange(held, 0);
  };

  const renewNow = (): void => {
    dropStale();
    void exchange(Math.max(held, used), 0);
  };

  return {
    missing(needs, nowMs) {
      dropStale(nowMs);
      if (needs.place && places !== undefined && used >= held) return "places";
      if (needs.message && messages !== undefined && tokens < 1) return "messages";
      return undefined;
    },
    take(needs) {
      if (needs.place) used += 1;
      if (needs.message && messages !== undefined) tokens -= 1;
      const isLow =
        (places !== undefined && !out.places && held - used < places.block >> 2) ||
        (messages !== undefined && !out.messages && tokens < half(messages.block));
      if (isLow && underWay === undefined) void more(0);
    },
    giveBackPlace() {
      used -= 1;
      giveBackSurplus();
    },
    giveBackMessage() {
      if (messages === undefined) return;
      tokens += 1;
      giveBackSurplus();
    },
    get coversPlaces() {
      return places === undefined || (clock.monotonicMs() < dueMs && used <= held);
    },
    enter() {
      waiting += 1;
    },
    leave() {
      waiting -= 1;
      giveBackSurplus();
    },
    async refill() {
      // Who came first is asked for; what is under way may have been sent before this one came.
      if (underWay !== undefined) return underWay;
      // All who come in this turn are asked for together.
      await Promise.resolve();
      return underWay ?? more(waiting);
    },
    isOut: (what) => out[what],
    get messageWaitMs() {
      return messageWaitMs;
    },
    renew() {
      if (underWay !== undefined) return;
      dropStale();
      giveBackSurplus();
      renewNow();
    },
    close() {
      isClosed = true;
      if (calls > 0) void ask(-1, 0);
      held = 0;
      tokens = 0;
    },
  };
}

const half = (block: number): number => Math.ceil(block / 2);
