import {
  Reason,
  type AdmissionAsk,
  type BudgetAsk,
  type Clock,
  type ToolRateReply,
} from "@sluice/contract";
import type { Day } from "@sluice/policy";
import { countedBy, encodeAcquire, type AcquireCall, type AcquireParts } from "./acquire-call.ts";
import { createAcquireBatch } from "./acquire-batch.ts";
import { buildAcquireScript } from "./acquire-script.ts";
import type { RedisAdmissionSettings } from "./admission-options.ts";
import type { Counted } from "./counted.ts";
import { createDeadline } from "./deadline.ts";
import { Question, type RemoteAnswer } from "./question.ts";
import { createLane, type Lane } from "./lane.ts";
import { modesName, toPolicies, type Policies } from "./policies.ts";
import type { RunScript } from "./run-script.ts";
import { toolScript, upkeepScript, type Script } from "./scripts.ts";
import type { Shards } from "./shards.ts";
import { shareScripts } from "./shares-rebalance.ts";
import { createShares, type Shares } from "./shares.ts";
import type { Upkeep } from "./upkeep.ts";
import { isWrongType, wrongType, type WrongType } from "./wrong-type.ts";

/** Of what is asked of Redis; undefined: no answer in time. */
export type Remote<Answer> = Promise<Answer | WrongType | undefined>;

export type ToolRate = NonNullable<RedisAdmissionSettings["toolRate"]>;

/** Decisions by scripts, each one trip. */
export interface RemoteStore {
  readonly policies: Policies;
  /** What is loaded with each connection. */
  scripts(): readonly Script[];
  acquire(subject: string, ask: AdmissionAsk | undefined, day: Day): Remote<RemoteAnswer>;
  /** Another call of a request in flight: its budgets alone. */
  reserve(subject: string, ask: AdmissionAsk, budget: BudgetAsk, day: Day): Remote<RemoteAnswer>;
  takeTool(rate: ToolRate): Remote<ToolRateReply>;
  /** Where a request would be counted, for one that was let in without Redis. */
  place(subject: string): {
    readonly id: string;
    readonly subject: string | undefined;
    readonly counted: readonly Counted[];
  };
  close(): void;
}

const dayMs = 86_400_000;
/** What ioredis says of a command that it did not write. */
export const unsent = /enableOfflineQueue/;

export function createRemoteStore(parts: {
  readonly settings: RedisAdmissionSettings;
  readonly shards: Shards;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly run: RunScript;
  readonly upkeep: Upkeep;
  readonly scriptTime: () => string;
}): RemoteStore {
  const { settings, shards, clock, newId, run, upkeep, scriptTime } = parts;
  const { leaseMs, reservationMs, instanceId } = settings;
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
      who: instanceId,
      run,
      scriptTime,
      deadline,
    });
  // One for each combination of modes, of which there are few.
  const lanes = new Map<string, Lane>();
  const lastLanes: Readonly<Record<What, (Lane | undefined)[]>> = { all: [], budgets: [] };
  let lanesDay = "";
  /** Sets of a shard are tidied three times in a lease time; what is over counts nowhere in between. */
  const tidyAtMs = shards.all.map(() => 0);

  const isTidy = (shard: number): boolean => {
    const now = clock.monotonicMs();
    if (now < (tidyAtMs[shard] ?? 0)) return false;
    tidyAtMs[shard] = now + leaseMs / 3;
    return true;
  };

  const scriptOf = (of: Policies, ask: AdmissionAsk | undefined): Script =>
    buildAcquireScript({ policies: of, ask, leaseMs, reservationMs });

  const openLane = (what: What, shard: number, ask: AdmissionAsk | undefined, day: Day): Lane => {
    const ofShard = at(what, shard);
    const batch = createAcquireBatch({
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
    return createLane(ofShard, ask, day, batch);
  };

  const laneOf = (what: What, shard: number, ask: AdmissionAsk | undefined, day: Day): Lane => {
    const hasBudget = ask?.budget !== undefined;
    const last = lastLanes[what][shard];
    if (
      last !== undefined &&
      last.day.name === day.name &&
      last.ask?.modes === ask?.modes &&
      (last.ask?.budget !== undefined) === hasBudget
    ) {
      return last;
    }
    if (day.name !== lanesDay) {
      lanes.clear();
      lanesDay = day.name;
    }
    const name = `${shard} ${what} ${hasBudget} ${modesName(ask)}`;
    let lane = lanes.get(name);
    if (lane === undefined) lanes.set(name, (lane = openLane(what, shard, ask, day)));
    lastLanes[what][shard] = lane;
    return lane;
  };

  const giveBack = ({ id, subject }: AcquireCall, lane: Lane, error: unknown): void => {
    if (error instanceof Error && unsent.test(error.message)) return;
    const { parts: ofShard, reserved } = lane;
    for (const counted of lane.countedBy(2 ** ofShard.policies.inFlight.length - 1)) {
      upkeep.add({ do: "release", counted, id, subject });
    }
    if (reserved !== undefined) upkeep.add({ do: "void", reserved, id });
  };

  const questionParts = { clock, deadline, giveBack };
  const decideOnce = (
    what: What,
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): Remote<RemoteAnswer> =>
    new Promise((resolve) => {
      const shard = shards.indexOf(subject);
      const lane = laneOf(what, shard, ask, day);
      const who = { id: newId(), subject, ask, shard };
      const question = new Question(questionParts, lane, who, resolve);
      deadline.start(question);
      lane.batch.add(question);
    });

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
    async takeTool({ count, perMs, burst = count, mode }) {
      const args = [scriptTime(), perMs / count, burst];
      const reply = await deadline.within(
        orWrongType(run(toolScript, [shards.first.toolRate], args)),
      );
      if (reply === wrongType) return reply;
      if (!Array.isArray(reply)) return undefined;
      if (Number(reply[0]) === 0) return { allowed: true };
      if (mode === "shadow") return { allowed: true, would: Reason.TOOL_RATE };
      const retryAfterMs = Math.max(1, Number(reply[1]));
      return { allowed: false, reason: Reason.TOOL_RATE, retryAfterMs };
    },
    place(subject) {
      const ofShard = at("all", shards.indexOf(subject));
      const { id, subject: named } = encodeAcquire(ofShard, newId(), subject, undefined);
      const all = 2 ** policies.inFlight.length - 1;
      return { id, subject: named, counted: countedBy(ofShard, all) };
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
