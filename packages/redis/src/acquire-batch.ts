import type { AdmissionAsk } from "@sluice/contract";
import {
  answerLength,
  keysOf,
  pushArguments,
  type AcquireCall,
  type AcquireParts,
} from "./acquire-call.ts";
import type { RunScript } from "./run-script.ts";
import type { Script } from "./scripts.ts";

export interface AcquireBatch {
  /** Sent with the others of this turn. */
  add(waiting: WaitsForBatch): void;
}

/** A request, and who hears the answer. */
export interface WaitsForBatch {
  readonly call: AcquireCall;
  /**
   * @param from where this request's answer begins in that of all
   * @param lacksShare the shard has no share of some limit, so it let nobody through that the limit counts
   */
  answer(reply: readonly unknown[], from: number, lacksShare: boolean): void;
  /** Redis rejects, or answers what the script never does. */
  fail(error: unknown): void;
}

/**
 * So that no call holds Redis up for long, and so that it works on one while this process prepares the next:
 * with 64, fifty callers took turns with Redis and reached two thirds of the decisions.
 */
const mostPerCall = 25;

/**
 * Decisions that are asked for in the same turn of the event loop travel in one call: what all share is read
 * and written once. One that is alone waits for nobody.
 */
export function createAcquireBatch(options: {
  readonly parts: AcquireParts;
  readonly script: Script;
  /** Of one of them: they bring budgets, or none does, and the same modes. */
  readonly ask: AdmissionAsk | undefined;
  readonly day: string;
  readonly run: RunScript;
  /** What comes before the requests' own arguments, but for their number. */
  readonly head: () => { readonly time: string; readonly isTidy: boolean; readonly ttlMs: number };
  /** Called before each call, on the same connection. */
  readonly beforeSend: () => void;
}): AcquireBatch {
  const { parts, script, ask, run, head, beforeSend } = options;
  const keys = keysOf(parts, ask, options.day);
  const length = answerLength(parts, ask);
  const tail = parts.policies.shares === undefined ? 0 : 1;
  let waiting: WaitsForBatch[] = [];

  const send = (): void => {
    const sent = waiting;
    waiting = [];
    if (sent.length === 0) return;
    beforeSend();
    const { time, isTidy, ttlMs } = head();
    const args: (string | number)[] = [time, isTidy ? 1 : 0, sent.length, ttlMs];
    pushArguments(args, sent);
    void answer(sent, run(script, keys, args));
  };

  const answer = async (
    sent: readonly WaitsForBatch[],
    running: Promise<unknown>,
  ): Promise<void> => {
    let reply: unknown;
    try {
      reply = await running;
      if (!Array.isArray(reply) || reply.length !== 1 + sent.length * length + tail) {
        throw new TypeError("sluice: Redis answered what the script never does");
      }
    } catch (error) {
      for (const one of sent) one.fail(error);
      return;
    }
    const all: readonly unknown[] = reply;
    const lacksShare = tail > 0 && Number(all.at(-1)) === 1;
    let from = 1;
    for (const one of sent) {
      one.answer(all, from, lacksShare);
      from += length;
    }
  };

  return {
    add(one) {
      waiting.push(one);
      if (waiting.length === 1) queueMicrotask(send);
      else if (waiting.length === mostPerCall) send();
    },
  };
}
