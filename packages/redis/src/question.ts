import type { AdmissionAsk, Clock } from "@sluice/contract";
import { encodeAcquire, type AcquireCall } from "./acquire-call.ts";
import { AcquireAnswer } from "./acquire-answer.ts";
import type { WaitsForBatch } from "./acquire-batch.ts";
import type { Deadline, Waiting } from "./deadline.ts";
import type { Lane } from "./lane.ts";
import type { Linked } from "./linked-set.ts";
import { isWrongType, wrongType, type WrongType } from "./wrong-type.ts";

/** What Redis answered, and what was asked. */
export interface RemoteAnswer {
  readonly answer: AcquireAnswer;
  readonly call: AcquireCall;
  readonly lane: Lane;
  /** Where its subject is counted. */
  readonly shard: number;
  /** It was let through without what the shard has no share of, or refused for that. */
  readonly lacksShare: boolean;
}

export interface QuestionParts {
  readonly clock: Clock;
  readonly deadline: Deadline;
  /** It may have been carried out all the same, now or later: what was taken is given back. */
  readonly giveBack: (call: AcquireCall, lane: Lane, error: unknown) => void;
}

/** One decision from when it is asked for until it is answered or given up. One object, for each costs. */
export class Question implements WaitsForBatch, Waiting {
  before: Linked | undefined = undefined;
  after: Linked | undefined = undefined;
  dueMs = 0;
  readonly call: AcquireCall;
  readonly #parts: QuestionParts;
  readonly #lane: Lane;
  readonly #ask: AdmissionAsk | undefined;
  readonly #shard: number;
  readonly #resolve: (answer: RemoteAnswer | WrongType | undefined) => void;

  constructor(
    parts: QuestionParts,
    lane: Lane,
    who: {
      readonly id: string;
      readonly subject: string;
      readonly ask: AdmissionAsk | undefined;
      readonly shard: number;
    },
    resolve: (answer: RemoteAnswer | WrongType | undefined) => void,
  ) {
    this.call = encodeAcquire(lane.parts, who.id, who.subject, who.ask);
    this.#parts = parts;
    this.#lane = lane;
    this.#ask = who.ask;
    this.#shard = who.shard;
    this.#resolve = resolve;
  }

  answer(reply: readonly unknown[], from: number, lacksShare: boolean): void {
    const { clock, deadline, giveBack } = this.#parts;
    const lane = this.#lane;
    if (!deadline.end(this)) {
      giveBack(this.call, lane, undefined);
      return;
    }
    const dayEndsInMs = lane.day.endsMs - clock.wallMs();
    const answer = new AcquireAnswer(lane.parts, this.#ask, reply, from, dayEndsInMs);
    this.#resolve({ answer, call: this.call, lane, shard: this.#shard, lacksShare });
  }

  fail(error: unknown): void {
    const isInTime = this.#parts.deadline.end(this);
    if (isWrongType(error)) {
      if (isInTime) this.#resolve(wrongType);
      return;
    }
    this.#parts.giveBack(this.call, this.#lane, error);
    if (isInTime) this.#resolve(undefined);
  }

  giveUp(): void {
    this.#resolve(undefined);
  }
}
