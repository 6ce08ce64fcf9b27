import type { Clock, GateMode } from "@sluice/contract";
import type { Deadline } from "./deadline.ts";
import type { Leases } from "./leases.ts";
import { createLinkedSet, type Linked } from "./linked-set.ts";
import type { PlaceOfSubject } from "./counted.ts";
import type { SubjectAnswer, SubjectCall, SubjectCalls } from "./subject-calls.ts";
import { createSubjectCount, type SubjectCount } from "./subject-count.ts";
import { admitted, claimed, ownedByAnother } from "./subject-lease-script.ts";
import { fullReply, toRefusal, type SubjectReply } from "./subject-reply.ts";
import { isWrongType, wrongType, type WrongType } from "./wrong-type.ts";

/** Subjects' requests in flight, counted in this process where it has a subject to itself. */
export interface SubjectLeases {
  /** At once where the subject is claimed. Undefined: Redis is not asked, or does not answer. */
  acquire(subject: string, mode: GateMode): SubjectReply | AskedReply;
  /** Tells Redis which claims go on, and gives up what others want and what nobody uses. */
  renew(): void;
  /** Subjects that something is known of. */
  readonly size: number;
  /** Requests that are counted here, not in Redis. */
  readonly inFlight: number;
  /** Gives all claims up. */
  close(): void;
}

type AskedReply = Promise<SubjectReply | undefined>;

/** What is known of a subject. */
interface Claim extends Linked {
  readonly subject: string;
  readonly claimKey: string;
  readonly place: PlaceOfSubject;
  readonly count: SubjectCount;
  /** It is this process's until then; `unclaimed`: it is not. */
  dueMs: number;
  /** Requests that Redis counts, beside those that are counted here. */
  others: number;
  isWanted: boolean;
  usedMs: number;
  /** Answers to calls up to this one say nothing of the claim any more. */
  voidUpTo: number;
  /** The first question about a subject; who comes meanwhile waits for it. */
  asking: AskedReply | undefined;
  /** Who needs it to stay known. */
  waiting: number;
  asksUnderWay: number;
}

const unclaimed = -Infinity;
/**
 * A claim is used for less time than Redis keeps it: from before the question was sent. So its owner stops
 * before another begins, also one that was frozen meanwhile. What it let in becomes ordinary leases when the
 * claim ends, in the same step of Redis that frees the subject.
 */
export function createSubjectLeases(parts: {
  readonly limit: number;
  readonly claimMs: number;
  readonly leaseMs: number;
  readonly maxAgeMs: number;
  /** Most subjects at once; for one more the one that was idle for longest is given up. */
  readonly capacity: number;
  readonly clock: Clock;
  readonly claimKeyOf: (subject: string) => string;
  readonly placeOf: (subject: string) => PlaceOfSubject;
  /** Of a request. */
  readonly newId: () => string;
  readonly calls: SubjectCalls;
  readonly leases: Leases;
  readonly deadline: Deadline;
  /** Whether Redis is worth asking for a request. */
  readonly mayAsk: () => boolean;
  /** Hears each answer to a request; undefined: none that is of use. */
  readonly heard: <Answer>(answer: Answer | WrongType | undefined) => Answer | undefined;
  /** Redis may have counted it all the same. */
  readonly giveBack: (place: PlaceOfSubject, id: string, error: unknown) => void;
}): SubjectLeases {
  const { limit, claimMs, leaseMs, capacity, clock } = parts;
  const { claimKeyOf, placeOf, newId, calls, leases, deadline, mayAsk, heard, giveBack } = parts;
  const claims = new Map<string, Claim>();
  // Of those that nothing is in flight of, the one that was used last at the end.
  const idle = createLinkedSet<Claim>();
  let lastNumber = 0;
  let inFlight = 0;
  let isClosed = false;

  /** Where nothing is in flight it may be dropped; where it is not even claimed, it is. */
  const rest = (claim: Claim): void => {
    if (claim.waiting > 0 || !claim.count.isEmpty || claims.get(claim.subject) !== claim) return;
    if (claim.dueMs === unclaimed) {
      idle.delete(claim);
      claims.delete(claim.subject);
    } else if (claim.before === undefined) idle.add(claim);
  };

  const open = (subject: string): Claim => {
    const place = placeOf(subject);
    const count = createSubjectCount({
      ...parts,
      inRedis: place,
      onChange(by) {
        inFlight += by;
        if (by < 0) rest(claim);
      },
    });
    const claim: Claim = {
      subject,
      claimKey: claimKeyOf(subject),
      place,
      count,
      dueMs: unclaimed,
      others: 0,
      isWanted: false,
      usedMs: -Infinity,
      voidUpTo: 0,
      asking: undefined,
      waiting: 0,
      asksUnderWay: 0,
    };
    const [oldest] = claims.size < capacity ? [] : idle;
    if (oldest !== undefined) {
      claims.delete(oldest.subject);
      idle.delete(oldest);
      leave(oldest);
    }
    claims.set(subject, claim);
    return claim;
  };

  const call = async (
    claim: Claim,
    what: SubjectCall["what"],
    mode: GateMode,
    onUnknown?: (id: string, error: unknown) => void,
  ) => {
    const number = (lastNumber += 1);
    const sentMs = clock.monotonicMs();
    const { claimKey, place, count } = claim;
    const untold = count.untold();
    const id = what === "acquire" ? newId() : "";
    // Where another question is under way, its answer may let something be counted here.
    const isAlone = claim.dueMs === unclaimed && count.size === 0 && claim.asksUnderWay === 0;
    const ids = untold.map((moved) => moved.id);
    if (what === "acquire") claim.asksUnderWay += 1;
    else if (what === "leave") claim.voidUpTo = number;
    const sent = calls.send({ what, claimKey, place, number, mode, id, isAlone, ids });
    const answer = await deadline.within(orWrongType(sent), (error) => onUnknown?.(id, error));
    if (what === "acquire") claim.asksUnderWay -= 1;
    if (answer === undefined || answer === wrongType) return answer;
    count.wereTold(untold);
    return { answer, id, number, sentMs };
  };

  /** What is counted here becomes ordinary leases, and nothing is let in here any more. */
  const giveUp = (claim: Claim): void => {
    if (claim.dueMs === unclaimed) return;
    claim.dueMs = unclaimed;
    claim.isWanted = false;
    claim.voidUpTo = lastNumber;
    claim.count.move();
  };

  const tell = async (claim: Claim): Promise<void> => {
    claim.waiting += 1;
    await call(claim, "leave", "off");
    claim.waiting -= 1;
    rest(claim);
  };

  const leave = (claim: Claim): void => {
    giveUp(claim);
    void tell(claim);
  };

  const isHeld = (claim: Claim): boolean => {
    if (clock.monotonicMs() < claim.dueMs) return true;
    giveUp(claim);
    return false;
  };

  /** False for what was given up meanwhile, or came too late to be used. */
  const accept = (claim: Claim, number: number, sentMs: number, answer: SubjectAnswer): boolean => {
    const dueMs = sentMs + claimMs;
    if (isClosed || number <= claim.voidUpTo || clock.monotonicMs() >= dueMs) return false;
    claim.dueMs = Math.max(claim.dueMs, dueMs);
    claim.others = answer.inSet;
    claim.isWanted = answer.isWanted;
    return true;
  };

  const prolong = async (claim: Claim): Promise<void> => {
    const told = await call(claim, "renew", "off");
    if (told === undefined || told === wrongType) return;
    const { answer, number, sentMs } = told;
    if (number <= claim.voidUpTo || claims.get(claim.subject) !== claim) return;
    if (answer.status === ownedByAnother) leave(claim);
    else if (answer.status === claimed && isHeld(claim)) {
      if (accept(claim, number, sentMs, answer) && answer.isWanted) leave(claim);
    }
  };

  /** Undefined where Redis may know of fewer by now. */
  const decideHere = (claim: Claim, mode: GateMode, isFresh: boolean): SubjectReply | undefined => {
    const { count, others } = claim;
    count.dropExpired();
    if (count.size + others < limit || mode === "off") {
      idle.delete(claim);
      claim.usedMs = clock.monotonicMs();
      const lease = count.place();
      return { isAdmitted: true, lease, isBeside: false, inUse: count.size + others };
    }
    if (others > 0 && !isFresh) return undefined;
    return fullReply(mode, count.size + others);
  };

  const byAnswer = (
    claim: Claim,
    id: string,
    answer: SubjectAnswer,
    mode: GateMode,
  ): SubjectReply | undefined => {
    if (answer.status !== admitted) return toRefusal(answer, mode, { limit, claimMs });
    const lease = leases.hold(id, claim.place.subject, [claim.place.counted]);
    return { isAdmitted: true, lease, isBeside: false, inUse: answer.inSet };
  };

  const trip = async (claim: Claim, mode: GateMode): AskedReply => {
    const onUnknown = (id: string, error: unknown): void => giveBack(claim.place, id, error);
    // Once more where the claim was given up between question and answer.
    for (let turn = 0; turn < 2; turn += 1) {
      if (!mayAsk()) return undefined;
      const told = heard(await call(claim, "acquire", mode, onUnknown));
      if (told === undefined) return undefined;
      const { answer, id, number, sentMs } = told;
      if (answer.status === claimed) {
        if (accept(claim, number, sentMs, answer)) return decideHere(claim, mode, true);
        continue;
      }
      // Redis lost what it knew of the claim.
      if (number > claim.voidUpTo && claim.dueMs !== unclaimed) leave(claim);
      // Redis is told of it before its lease there is over; the first heartbeat is a third of that away.
      const isInTime = clock.monotonicMs() - sentMs < leaseMs / 3;
      if (isInTime) return byAnswer(claim, id, answer, mode);
      giveBack(claim.place, id, undefined);
      return undefined;
    }
    return undefined;
  };

  const ask = async (claim: Claim, mode: GateMode): AskedReply => {
    claim.waiting += 1;
    idle.delete(claim);
    try {
      if (claim.asking === undefined) {
        claim.asking = trip(claim, mode);
        return await claim.asking.finally(() => {
          claim.asking = undefined;
        });
      }
      if ((await claim.asking) === undefined) return undefined;
      const here = isHeld(claim) ? decideHere(claim, mode, true) : undefined;
      return here ?? (await trip(claim, mode));
    } finally {
      claim.waiting -= 1;
      rest(claim);
    }
  };

  const isUnused = ({ count, waiting, usedMs }: Claim): boolean =>
    count.size === 0 && waiting === 0 && usedMs + claimMs <= clock.monotonicMs();

  return {
    acquire(subject, mode) {
      const claim = claims.get(subject) ?? open(subject);
      const here = isHeld(claim) ? decideHere(claim, mode, false) : undefined;
      return here ?? ask(claim, mode);
    },
    renew() {
      for (const claim of claims.values()) {
        claim.count.dropExpired();
        if (isHeld(claim)) {
          if (claim.isWanted || isUnused(claim)) leave(claim);
          else void prolong(claim);
        } else if (claim.count.untold().length > 0) void tell(claim);
        else rest(claim);
      }
    },
    get size() {
      return claims.size;
    },
    get inFlight() {
      return inFlight;
    },
    close() {
      isClosed = true;
      for (const claim of claims.values()) if (claim.dueMs !== unclaimed) leave(claim);
    },
  };
}

const orWrongType = async (
  sent: Promise<SubjectAnswer | WrongType>,
): Promise<SubjectAnswer | WrongType> => {
  try {
    return await sent;
  } catch (error) {
    if (isWrongType(error)) return wrongType;
    throw error;
  }
};
