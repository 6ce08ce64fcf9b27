import {
  Reason,
  type AdmissionAsk,
  type BudgetAsk,
  type Clock,
  type ToolRateReply,
} from "@sluice/contract";
import type { Day } from "@sluice/policy";
import {
  decodeAcquire,
  encodeAcquire,
  type AcquireAnswer,
  type AcquireCall,
  type AcquireParts,
} from "./acquire-call.ts";
import { createAcquireBatch, type AcquireBatch } from "./acquire-batch.ts";
import { buildAcquireScript } from "./acquire-script.ts";
import type { RedisAdmissionSettings } from "./admission-options.ts";
import { createDeadline } from "./deadline.ts";
import type { Keys } from "./keys.ts";
import { modeNumbers, modesName, toPolicies, type Policies } from "./policies.ts";
import type { RunScript } from "./run-script.ts";
import { toolScript, upkeepScript, type Script } from "./scripts.ts";
import type { Upkeep } from "./upkeep.ts";
import { isWrongType, wrongType, type WrongType } from "./wrong-type.ts";

/** What Redis answered, and what was asked. */
export interface RemoteAnswer {
  readonly answer: AcquireAnswer;
  readonly call: AcquireCall;
}

/** Of what is asked of Redis; undefined: no answer in time. */
export type Remote<Answer> = Promise<Answer | WrongType | undefined>;

/** Decisions by scripts, each one trip. */
export interface RemoteStore {
  readonly policies: Policies;
  /** What is loaded with each connection. */
  scripts(): readonly Script[];
  acquire(subject: string, ask: AdmissionAsk | undefined, day: Day): Remote<RemoteAnswer>;
  /** Another call of a request in flight: its budgets alone. */
  reserve(subject: string, ask: AdmissionAsk, budget: BudgetAsk, day: Day): Remote<RemoteAnswer>;
  takeTool(): Remote<ToolRateReply>;
  /** Where a request would be counted, for one that was let in without Redis. */
  place(subject: string): { readonly id: string; readonly keys: readonly string[] };
  close(): void;
}

const dayMs = 86_400_000;
/** What ioredis says of a command that it did not write. */
const unsent = /enableOfflineQueue|Connection is closed/;

export function createRemoteStore(parts: {
  readonly settings: RedisAdmissionSettings;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly run: RunScript;
  readonly upkeep: Upkeep;
  readonly scriptTime: () => string;
}): RemoteStore {
  const { settings, keys, clock, run, upkeep, scriptTime } = parts;
  const { leaseMs, reservationMs, processId, toolRate } = settings;
  const policies = toPolicies(settings);
  const all: AcquireParts = { policies, keys };
  const onlyBudgets: AcquireParts = { ...all, policies: { ...policies, inFlight: [], rates: [] } };
  const deadline = createDeadline(clock, settings.deadlineMs);
  // One for each combination of modes, of which there are few.
  const batches = new Map<string, AcquireBatch>();
  let batchDay = "";
  const emissionMs = toolRate === undefined ? 0 : toolRate.perMs / toolRate.count;
  let lastId = 0;
  /** Sets are tidied three times in a lease time; what is over counts nowhere in between. */
  let tidyAtMs = 0;

  const newId = (): string => `${processId}:${((lastId += 1)).toString(36)}`;

  const isTidy = (): boolean => {
    const now = clock.monotonicMs();
    if (now < tidyAtMs) return false;
    tidyAtMs = now + leaseMs / 3;
    return true;
  };

  const scriptOf = (what: AcquireParts, ask: AdmissionAsk | undefined): Script =>
    buildAcquireScript({ policies: what.policies, ask, leaseMs, reservationMs });

  /** Of those that a script of their own is for: the same limits, modes and day. */
  const batchOf = (what: AcquireParts, ask: AdmissionAsk | undefined, day: Day): AcquireBatch => {
    if (day.name !== batchDay) {
      batches.clear();
      batchDay = day.name;
    }
    const hasBudget = ask?.budget !== undefined;
    const name = `${what === all ? "all" : "budgets"} ${hasBudget} ${modesName(ask)}`;
    let batch = batches.get(name);
    if (batch === undefined) {
      batch = createAcquireBatch({
        parts: what,
        script: scriptOf(what, ask),
        ask,
        day: day.name,
        run,
        head: () => ({
          time: scriptTime(),
          isTidy: isTidy(),
          ttlMs: Math.max(0, Math.ceil(day.endsMs - clock.wallMs())) + dayMs + reservationMs,
        }),
        // What ended in this turn makes room first.
        beforeSend: () => upkeep.send(),
      });
      batches.set(name, batch);
    }
    return batch;
  };

  const giveBack = (call: AcquireCall, error: unknown): void => {
    if (error instanceof Error && unsent.test(error.message)) return;
    // It may have been carried out, now or later: what was taken is given back.
    const { id } = call;
    for (const key of call.inFlightKeys) {
      upkeep.add({ do: "release", key, id });
      upkeep.add({ do: "release", key: `${key}:over`, id });
    }
    const { budgetKey } = call;
    if (budgetKey !== undefined) upkeep.add({ do: "void", key: budgetKey, id });
  };

  const decide = async (
    what: AcquireParts,
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): Remote<RemoteAnswer> => {
    const call = encodeAcquire(what, newId(), subject, ask, day.name);
    const replied = await deadline.within(batchOf(what, ask, day).add(call), (error) =>
      giveBack(call, error),
    );
    if (replied === undefined || replied === wrongType) return replied;
    const dayEndsInMs = day.endsMs - clock.wallMs();
    const answer = decodeAcquire(what, ask, replied.reply, replied.from, dayEndsInMs);
    return answer === wrongType ? answer : { answer, call };
  };

  return {
    policies,
    scripts: () => [
      scriptOf(all, undefined),
      ...(policies.budgets.length > 0 ? [scriptOf(all, { budget: anyBudget })] : []),
      toolScript,
      upkeepScript,
    ],
    acquire: (subject, ask, day) => decide(all, subject, ask, day),
    reserve: (subject, ask, budget, day) => decide(onlyBudgets, subject, { ...ask, budget }, day),
    async takeTool() {
      if (toolRate === undefined || toolRate.mode === "off") return { allowed: true };
      const args = [
        scriptTime(),
        emissionMs,
        toolRate.burst ?? toolRate.count,
        modeNumbers[toolRate.mode],
      ];
      const reply = await deadline.within(orWrongType(run(toolScript, [keys.toolRate], args)));
      if (reply === wrongType) return reply;
      if (!Array.isArray(reply)) return undefined;
      if (Number(reply[0]) === 0) return { allowed: true };
      if (toolRate.mode === "shadow") return { allowed: true, would: Reason.TOOL_RATE };
      const retryAfterMs = Math.max(1, Number(reply[1]));
      return { allowed: false, reason: Reason.TOOL_RATE, retryAfterMs };
    },
    place: (subject) => ({
      id: newId(),
      keys: policies.inFlight.map((policy) => policy.keyOf(keys, subject)),
    }),
    close: () => deadline.close(),
  };
}

const anyBudget: BudgetAsk = {
  inputTokens: 0,
  outputTokens: 0,
  minOutputTokens: 0,
  price: undefined,
};

const orWrongType = async (replying: Promise<unknown>): Promise<unknown> => {
  try {
    return await replying;
  } catch (error) {
    if (isWrongType(error)) return wrongType;
    throw error;
  }
};
