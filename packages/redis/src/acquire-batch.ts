import type { AdmissionAsk } from "@sluice/contract";
import { answerLength, sharedKeys, type AcquireCall, type AcquireParts } from "./acquire-call.ts";
import type { RunScript } from "./run-script.ts";
import type { Script } from "./scripts.ts";
import { isWrongType, wrongType, type WrongType } from "./wrong-type.ts";

/** The answers of one call, and where this request's begins. */
export interface BatchReply {
  readonly reply: readonly unknown[];
  readonly from: number;
  /** The shard has no share of some limit, so it let nobody through that the limit counts. */
  readonly lacksShare: boolean;
}

export interface AcquireBatch {
  /**
   * Sent with the others of this turn. Rejects when Redis does, or answers what the script never does; a key
   * of another type that all share is an answer to all of them.
   */
  add(call: AcquireCall): Promise<BatchReply | WrongType>;
}

interface Waiting {
  readonly call: AcquireCall;
  readonly resolve: (reply: BatchReply | WrongType) => void;
  readonly reject: (error: unknown) => void;
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
  const shared = sharedKeys(parts, ask, options.day);
  const length = answerLength(parts, ask);
  const tail = parts.policies.shares === undefined ? 0 : 1;
  let waiting: Waiting[] = [];

  const send = (): void => {
    const sent = waiting;
    waiting = [];
    if (sent.length === 0) return;
    beforeSend();
    const { time, isTidy, ttlMs } = head();
    const keys = [...shared];
    const args: (string | number)[] = [time, isTidy ? 1 : 0, sent.length, ttlMs];
    for (const { call } of sent) {
      for (const key of call.keys) keys.push(key);
      for (const arg of call.args) args.push(arg);
    }
    void answer(sent, run(script, keys, args));
  };

  const answer = async (sent: readonly Waiting[], running: Promise<unknown>): Promise<void> => {
    try {
      const reply = await running;
      if (!Array.isArray(reply) || reply.length !== 1 + sent.length * length + tail) {
        throw new TypeError("sluice: Redis answered what the script never does");
      }
      const lacksShare = tail > 0 && Number(reply.at(-1)) === 1;
      for (const [index, { resolve }] of sent.entries()) {
        resolve({ reply, from: 1 + index * length, lacksShare });
      }
    } catch (error) {
      for (const { resolve, reject } of sent) {
        if (isWrongType(error)) resolve(wrongType);
        else reject(error);
      }
    }
  };

  return {
    add: (call) =>
      new Promise((resolve, reject) => {
        waiting.push({ call, resolve, reject });
        if (waiting.length === 1) queueMicrotask(send);
        else if (waiting.length === mostPerCall) send();
      }),
  };
}
