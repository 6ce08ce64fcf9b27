import {
  admissionDimensions,
  Reason,
  type AdmissionAsk,
  type AdmissionDimension,
  type AdmissionReply,
} from "@sluice/contract";
import { dayMs, ModelBudgets } from "./admission-model-budgets.ts";
import {
  modeOf,
  type ModelLimits,
  type ModelProcess,
  type Word,
} from "./admission-model-limits.ts";

export interface ModelLease {
  readonly process: ModelProcess;
  readonly subject: string;
  readonly countsUser: boolean;
  readonly countsGlobal: boolean;
  endsMs: number;
  isOver: boolean;
  /** When the store lost all it had. */
  lostAtMs: number | undefined;
  /** Its process died before it was sure to have told the store anew. */
  isUnsure: boolean;
}

export interface Expected {
  readonly admitted: boolean;
  readonly wouldRefuse: readonly Reason[];
  readonly violated: readonly AdmissionDimension[];
  readonly outputTokens: number | undefined;
}

const rememberedMs = 1000;
const guessedMs = { least: 1000, most: 60_000 };

/**
 * What must hold of admission that processes share, as plainly as possible: lists of all requests and calls
 * there ever were, each sum worked out anew, and a leaking bucket for the rate.
 */
export class AdmissionModel {
  nowMs = 0;
  wallMs: number;
  readonly processes: ModelProcess[] = [];
  readonly leases: ModelLease[] = [];
  readonly budgets: ModelBudgets;
  readonly #leaseMs: number;
  /** How much of the rate's time is taken up. */
  #bucketMs = 0;

  constructor(settings: {
    readonly wallMs: number;
    readonly leaseMs: number;
    readonly reservationMs: number;
  }) {
    this.wallMs = settings.wallMs;
    this.#leaseMs = settings.leaseMs;
    this.budgets = new ModelBudgets(this, settings.reservationMs);
  }

  get day(): number {
    return Math.floor(this.wallMs / dayMs);
  }

  /** The longest time until a lease that lives is told anew: a third of its time, and a tenth of that. */
  get beatMs(): number {
    return (this.#leaseMs / 3) * 1.1;
  }

  start(limits: ModelLimits): void {
    this.processes.push({ limits, isAlive: true, told: new Map() });
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.wallMs += ms;
    this.#bucketMs = Math.max(0, this.#bucketMs - ms);
  }

  crash(process: ModelProcess): void {
    process.isAlive = false;
    for (const lease of this.leases) {
      if (lease.process !== process || lease.lostAtMs === undefined) continue;
      if (this.nowMs >= lease.lostAtMs + this.beatMs) lease.lostAtMs = undefined;
      else if (this.nowMs === lease.lostAtMs) lease.isOver = true;
      else lease.isUnsure = true;
    }
  }

  /** All that the store had is gone; processes still know what they hold. */
  flush(): void {
    this.#bucketMs = 0;
    this.budgets.lose();
    for (const lease of this.leases) {
      if (lease.process.isAlive) lease.lostAtMs = this.nowMs;
      else lease.isOver = true;
    }
  }

  renew(lease: ModelLease): void {
    if (this.#lives(lease)) lease.endsMs = this.nowMs + this.#leaseMs;
  }

  release(lease: ModelLease): void {
    lease.isOver = true;
  }

  /**
   * What had to be answered, and what follows from it. Where it can't be told whether the store knew of a place,
   * what it answered is taken for it.
   */
  decide(
    process: ModelProcess,
    subject: string,
    ask: AdmissionAsk,
    reply: AdmissionReply,
  ): Expected {
    const kind = JSON.stringify([ask.budget === undefined, ask.modes]);
    const words = this.#words(process, subject, ask, reply);
    const violated = words.filter(({ mode, reason }) => mode === "enforce" && reason !== undefined);
    const would = words.filter(({ mode, reason }) => mode === "shadow" && reason !== undefined);
    const wouldRefuse = would.flatMap(({ reason }) => reason ?? []);
    if (violated.length > 0) {
      const [only] = violated;
      if (violated.length === 1 && only?.dimension === "message_rate") {
        const waitMs = only.waitMs ?? 0;
        process.told.set(kind, {
          untilMs: this.nowMs + Math.min(rememberedMs, waitMs),
          freeAtMs: this.nowMs + waitMs,
        });
      }
      return {
        admitted: false,
        wouldRefuse,
        violated: violated.map(({ dimension }) => dimension),
        outputTokens: undefined,
      };
    }
    const hasRoom = (dimension: AdmissionDimension): boolean =>
      words.every((word) => word.dimension !== dimension || word.reason === undefined);
    this.leases.push({
      process,
      subject,
      countsUser: hasRoom("user_in_flight"),
      countsGlobal: hasRoom("global_in_flight"),
      endsMs: this.nowMs + this.#leaseMs,
      isOver: false,
      lostAtMs: undefined,
      isUnsure: false,
    });
    const rate = words.find(({ dimension }) => dimension === "message_rate");
    if (rate !== undefined && rate.mode !== "off" && rate.reason === undefined) {
      const { count, perMs, burst } = process.limits.messageRate;
      this.#bucketMs = Math.min(this.#bucketMs, (perMs / count) * burst) + perMs / count;
    }
    const outputTokens = ask.budget && this.budgets.charge(process, subject, ask.modes, ask.budget);
    return { admitted: true, wouldRefuse, violated: [], outputTokens };
  }

  /** Whether a process may give this refusal without asking: the rate refused the same just now. */
  mayRepeat(process: ModelProcess, ask: AdmissionAsk, waitMs: number): boolean {
    const told = process.told.get(JSON.stringify([ask.budget === undefined, ask.modes]));
    const isObserved = admissionDimensions.some((name) => {
      const isAsked = !name.endsWith("_budget") || ask.budget !== undefined;
      return isAsked && modeOf(process.limits, ask.modes, name) === "shadow";
    });
    if (told === undefined || isObserved || this.nowMs >= told.untilMs) return false;
    return waitMs === told.freeAtMs - this.nowMs;
  }

  /** Whether a refusal names the longest of its waits, and the reason for that. */
  isRightWait(
    process: ModelProcess,
    subject: string,
    ask: AdmissionAsk,
    reply: Extract<AdmissionReply, { admitted: false }>,
  ): boolean {
    const violated = this.#words(process, subject, ask, reply).filter(
      ({ mode, reason }) => mode === "enforce" && reason !== undefined,
    );
    const longestMs = Math.max(0, ...violated.map(({ waitMs }) => waitMs ?? 0));
    const named = violated.find(({ reason }) => reason === reply.reason);
    if (named === undefined) return false;
    const { retryAfterMs } = reply;
    const isGuess = violated.some(({ waitMs }) => waitMs === undefined);
    if (named.waitMs !== undefined) {
      return retryAfterMs === longestMs && (!isGuess || longestMs >= guessedMs.least);
    }
    return retryAfterMs >= Math.max(guessedMs.least, longestMs) && retryAfterMs <= guessedMs.most;
  }

  #lives(lease: ModelLease): boolean {
    return !lease.isOver && lease.endsMs > this.nowMs;
  }

  #words(
    process: ModelProcess,
    subject: string,
    ask: AdmissionAsk,
    reply: AdmissionReply,
  ): readonly Word[] {
    const { limits } = process;
    const { messageRate } = limits;
    const said = [...reply.wouldRefuse, ...(reply.admitted ? [] : (reply.violated ?? []))];
    const place = (
      dimension: "user_in_flight" | "global_in_flight",
      why: Reason,
      limit: number,
      counts: (lease: ModelLease) => boolean,
    ): Word => {
      const mode = modeOf(limits, ask.modes, dimension);
      const all = this.leases.filter((lease) => this.#lives(lease) && counts(lease));
      const sure = all.filter((lease) => this.#isKnown(lease) === true).length;
      const most = all.filter((lease) => this.#isKnown(lease) !== false).length;
      const isSaid = said.some((word) => word === why || word === dimension);
      const isFull = mode !== "off" && (sure >= limit || (most >= limit && isSaid));
      return { dimension, mode, reason: isFull ? why : undefined, waitMs: undefined };
    };
    const emissionMs = messageRate.perMs / messageRate.count;
    const roomMs = emissionMs * messageRate.burst;
    const lateMs = Math.min(this.#bucketMs, roomMs) + emissionMs - roomMs;
    const rateMode = modeOf(limits, ask.modes, "message_rate");
    const isLate = rateMode !== "off" && lateMs > 0;
    return [
      place(
        "user_in_flight",
        Reason.USER_IN_FLIGHT,
        limits.userInFlight.limit,
        (lease) => lease.countsUser && lease.subject === subject,
      ),
      place(
        "global_in_flight",
        Reason.GLOBAL_IN_FLIGHT,
        limits.globalInFlight.limit,
        (lease) => lease.countsGlobal,
      ),
      {
        dimension: "message_rate",
        mode: rateMode,
        reason: isLate ? Reason.MESSAGE_RATE : undefined,
        waitMs: Math.ceil(lateMs),
      },
      ...(ask.budget === undefined
        ? []
        : this.budgets.words(process, subject, ask.modes, ask.budget)),
    ];
  }

  #isKnown({ lostAtMs, isUnsure }: ModelLease): boolean | undefined {
    if (isUnsure) return undefined;
    if (lostAtMs === undefined || this.nowMs >= lostAtMs + this.beatMs) return true;
    return this.nowMs === lostAtMs ? false : undefined;
  }
}
