import type { GateMode } from "@sluice/contract";
import { modeNumbers } from "./policies.ts";
import type { PlaceOfSubject } from "./counted.ts";
import type { RunScript } from "./run-script.ts";
import { ofAnotherType, perEntryReply, subjectLeaseScript } from "./subject-lease-script.ts";
import { wrongType, type WrongType } from "./wrong-type.ts";

/** What is asked of Redis about one subject. */
export interface SubjectCall {
  /** A request comes, the claim goes on, or it is given up. */
  readonly what: "acquire" | "renew" | "leave";
  readonly claimKey: string;
  readonly place: PlaceOfSubject;
  /** Greater than those of all earlier calls of this process. */
  readonly number: number;
  readonly mode: GateMode;
  /** Of the request. */
  readonly id: string;
  /** Nothing of the subject is counted in this process' memory. */
  readonly isAlone: boolean;
  /** Requests that were counted there, and from now on are in Redis. */
  readonly ids: readonly string[];
}

export interface SubjectAnswer {
  /** As the script says. */
  readonly status: number;
  /** Requests of the subject that Redis counts. */
  readonly inSet: number;
  /** Until another's claim ends, unless it is renewed. */
  readonly claimEndsInMs: number;
  /** Another process asked for what this one has. */
  readonly isWanted: boolean;
}

export interface SubjectCalls {
  /** Sent with the others of this turn that stand in the same slot. */
  send(call: SubjectCall): Promise<SubjectAnswer | WrongType>;
}

interface Waiting {
  readonly call: SubjectCall;
  readonly resolve: (answer: SubjectAnswer | WrongType) => void;
  readonly reject: (error: unknown) => void;
}

const mostPerCall = 50;
const letters = { acquire: "A", renew: "R", leave: "L" } as const;

export function createSubjectCalls(options: {
  readonly run: RunScript;
  readonly instanceId: string;
  readonly claimMs: number;
  readonly leaseMs: number;
  readonly limit: number;
  readonly scriptTime: () => string;
  /** Called before each call, on the same connection. */
  readonly beforeSend: () => void;
}): SubjectCalls {
  const { run, instanceId, claimMs, leaseMs, limit, scriptTime, beforeSend } = options;
  const byKey = new Map<string, Waiting[]>();

  const sendAll = (lists: string): void => {
    const all = byKey.get(lists) ?? [];
    byKey.delete(lists);
    beforeSend();
    for (let from = 0; from < all.length; from += mostPerCall) {
      const some = all.slice(from, from + mostPerCall);
      const args: (string | number)[] = [
        scriptTime(),
        instanceId,
        claimMs,
        leaseMs,
        limit,
        some.length,
      ];
      for (const { call } of some) {
        args.push(call.place.subject);
        args.push(letters[call.what], call.number, modeNumbers[call.mode], call.id);
        args.push(call.isAlone ? 1 : 0, call.ids.length);
        for (const id of call.ids) args.push(id);
      }
      const keys = [lists, ...some.map(({ call }) => call.claimKey)];
      void answer(some, run(subjectLeaseScript, keys, args));
    }
  };

  const answer = async (all: readonly Waiting[], running: Promise<unknown>): Promise<void> => {
    try {
      const reply: unknown = await running;
      if (!Array.isArray(reply) || reply.length !== all.length * perEntryReply) {
        throw new TypeError("sluice: Redis answered what the script never does");
      }
      for (const [index, { resolve }] of all.entries()) {
        const from = index * perEntryReply;
        const status = Number(reply[from]);
        if (status === ofAnotherType) resolve(wrongType);
        else {
          resolve({
            status,
            inSet: Number(reply[from + 1]),
            claimEndsInMs: Number(reply[from + 2]),
            isWanted: Number(reply[from + 3]) === 1,
          });
        }
      }
    } catch (error) {
      for (const { reject } of all) reject(error);
    }
  };

  return {
    send: (call) =>
      new Promise((resolve, reject) => {
        const key = call.place.counted.lists;
        const waiting = byKey.get(key);
        if (waiting !== undefined) {
          waiting.push({ call, resolve, reject });
          return;
        }
        byKey.set(key, [{ call, resolve, reject }]);
        queueMicrotask(() => sendAll(key));
      }),
  };
}
