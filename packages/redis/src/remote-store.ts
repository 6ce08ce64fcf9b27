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
import { modeNumbers, modesName, toPolicies, type Policies } from "./policies.ts";
import type { RunScript } from "./run-script.ts";
import { toolScript, upkeepScript, type Script } from "./scripts.ts";
import type { Shards } from "./shards.ts";
import { shareScripts } from "./shares-rebalance.ts";
import { createShares, type Shares } from "./shares.ts";
import type { Upkeep } from "./upkeep.ts";
import { isWrongType, wrongType, type WrongType } from "./wrong-type.ts";

/** What Redis answered, and what was asked. */
export interface RemoteAnswer {
  readonly answer: AcquireAnswer;
  readonly call: AcquireCall;
  /** Where its subject is counted. */
  readonly shard: number;
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
export const unsent = /enableOfflineQueue/;

export function createRemoteStore(parts: {
  readonly settings: RedisAdmissionSettings;
  readonly shards: Shards;
  readonly clock: Clock;
  readonly run: RunScript;
  readonly upkeep: Upkeep;
  readonly scriptTime: () => string;
}): RemoteStore {
  const { settings, shards, clock, run, upkeep, scriptTime } = parts;
  const { leaseMs, reservationMs, processId, toolRate } = settings;
  const policies = toPolicies(settings);
  const budgets: Policies = { ...policies, inFlight: [], rates: [], shares: undefined };
  const ofShards = (of: Policies): readonly AcquireParts[] =>
    shards.all.map((keys) => ({ policies: of, keys }));
  const partsOf: Readonly<Record<What, readonly AcquireParts[]>> = {
    all: ofShards(policies),
    budgets: ofShards(budgets),
  };
  const at = (what: What, shard: number): AcquireParts => {
    const found = partsOf[what][shard];
    if (found === undefined) throw new RangeError(`there is no shard ${shard}`);
    return found;
  };
  const deadline = createDeadline(clock, settings.deadlineMs);
  const shares =
    policies.shares &&
    createShares({
      ...settings,
      shards: shards.all,
      limits: policies.shares,
      who: processId,
      run,
      scriptTime,
      deadline,
    });
  // One for each combination of modes, of which there are few.
  const batches = new Map<string, AcquireBatch>();
  let batchDay = "";
  const emissionMs = toolRate === undefined ? 0 : toolRate.perMs / toolRate.count;
  let lastId = 0;
  /** Sets of a shard are tidied three times in a lease time; what is over counts nowhere in between. */
  const tidyAtMs = shards.all.map(() => 0);

  const newId = (): string => `${processId}:${((lastId += 1)).toString(36)}`;

  const isTidy = (shard: number): boolean => {
    const now = clock.monotonicMs();
    if (now < (tidyAtMs[shard] ?? 0)) return false;
    tidyAtMs[shard] = now + leaseMs / 3;
    return true;
  };

  const scriptOf = (of: Policies, ask: AdmissionAsk | undefined): Script =>
    buildAcquireScript({ policies: of, ask, leaseMs, reservationMs });

  /** Of those that a script of their own is for: the same shard, limits, modes and day. */
  const batchOf = (
    what: What,
    shard: number,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): AcquireBatch => {
    if (day.name !== batchDay) {
      batches.clear();
      batchDay = day.name;
    }
    const hasBudget = ask?.budget !== undefined;
    const name = `${shard} ${what} ${hasBudget} ${modesName(ask)}`;
    let batch = batches.get(name);
    if (batch === undefined) {
      const ofShard = at(what, shard);
      batch = createAcquireBatch({
        parts: ofShard,
        script: scriptOf(ofShard.policies, ask),
        ask,
        day: day.name,
        run,
        head: () => ({
          time: scriptTime(),
          isTidy: isTidy(shard),
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

  interface Asked extends RemoteAnswer {
    readonly lacksShare: boolean;
  }

  const decideOnce = async (
    what: What,
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): Remote<Asked> => {
    const shard = shards.indexOf(subject);
    const ofShard = at(what, shard);
    const call = encodeAcquire(ofShard, newId(), subject, ask, day.name);
    const replied = await deadline.within(batchOf(what, shard, ask, day).add(call), (error) =>
      giveBack(call, error),
    );
    if (replied === undefined || replied === wrongType) return replied;
    const { reply, from, lacksShare } = replied;
    const dayEndsInMs = day.endsMs - clock.wallMs();
    const answer = decodeAcquire(ofShard, ask, reply, from, dayEndsInMs);
    return answer === wrongType ? answer : { answer, call, shard, lacksShare };
  };

  /** Once more where its shard had no share. */
  const decideOnShares = async (
    of: Shares,
    ...which: Parameters<typeof decideOnce>
  ): Remote<RemoteAnswer> => {
    const replied = await decideOnce(...which);
    of.see();
    if (replied === undefined || replied === wrongType || !replied.lacksShare) return replied;
    const restored = of.restore();
    // Who was let through need not wait for what others lack.
    if (replied.answer.refused.length === 0) return replied;
    await restored;
    return decideOnce(...which);
  };
  const decide = (...which: Parameters<typeof decideOnce>): Remote<RemoteAnswer> =>
    shares === undefined ? decideOnce(...which) : decideOnShares(shares, ...which);

  return {
    policies,
    scripts: () => [
      scriptOf(policies, undefined),
      ...(policies.budgets.length > 0 ? [scriptOf(policies, { budget: anyBudget })] : []),
      toolScript,
      upkeepScript,
      ...(shares === undefined ? [] : shareScripts),
    ],
    acquire: (subject, ask, day) => decide("all", subject, ask, day),
    reserve: (subject, ask, budget, day) => decide("budgets", subject, { ...ask, budget }, day),
    async takeTool() {
      if (toolRate === undefined || toolRate.mode === "off") return { allowed: true };
      const args = [
        scriptTime(),
        emissionMs,
        toolRate.burst ?? toolRate.count,
        modeNumbers[toolRate.mode],
      ];
      const reply = await deadline.within(
        orWrongType(run(toolScript, [shards.first.toolRate], args)),
      );
      if (reply === wrongType) return reply;
      if (!Array.isArray(reply)) return undefined;
      if (Number(reply[0]) === 0) return { allowed: true };
      if (toolRate.mode === "shadow") return { allowed: true, would: Reason.TOOL_RATE };
      const retryAfterMs = Math.max(1, Number(reply[1]));
      return { allowed: false, reason: Reason.TOOL_RATE, retryAfterMs };
    },
    place(subject) {
      const keys = shards.keysOf(subject);
      return {
        id: newId(),
        keys: policies.inFlight.map((policy) => policy.keyOf(keys, subject)),
      };
    },
    close() {
      shares?.close();
      deadline.close();
    },
  };
}

/** All limits of a request, or its budgets alone. */
type What = "all" | "budgets";

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
