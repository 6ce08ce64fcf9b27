import type { AdmissionAsk, AdmissionReply, Clock } from "@sluice/contract";
import type { Day } from "@sluice/policy";
import type { Admissions } from "./admissions.ts";
import { bothLeases, bothRefuse, type OwnAdmission, type OwnReply } from "./own-admission.ts";
import type { Refusals } from "./refusals.ts";
import type { RemoteAnswer } from "./question.ts";
import type { WithoutRedis } from "./without-redis.ts";

export interface OwnByTripParts {
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly dayOf: (wallMs: number) => Day;
  /** Whether Redis is worth asking. */
  readonly mayAsk: () => boolean;
  /** Without global limits. Undefined: no answer that is of use. */
  readonly ask: (
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ) => Promise<RemoteAnswer | undefined>;
  readonly admissions: Pick<Admissions, "toReply">;
  readonly refusals: Pick<Refusals, "toReply">;
  readonly withoutRedis: Pick<WithoutRedis, "acquire">;
}

/** A subject's own limits and budgets, exactly, in one trip. */
export function createOwnByTrip(parts: OwnByTripParts): OwnAdmission {
  const { clock, leaseMs, dayOf, mayAsk, admissions, refusals, withoutRedis } = parts;

  const decide: OwnAdmission["decide"] = async (subject, ask, taken): Promise<OwnReply> => {
    const day = dayOf(clock.wallMs());
    const askedMs = clock.monotonicMs();
    const replied = await parts.ask(subject, withoutGlobal(ask), day);
    if (replied === undefined) {
      taken.lease.undo();
      return withoutRedis.acquire(subject, ask);
    }
    if (replied.answer.refused.length > 0) {
      taken.lease.undo();
      const { answer, shard } = replied;
      const refused = refusals.toReply(answer, ask, day.endsMs - clock.wallMs(), shard);
      return {
        admitted: false,
        reason: refused.reason,
        retryAfterMs: refused.retryAfterMs,
        wouldRefuse: bothRefuse(refused.wouldRefuse, taken),
        violated: refused.violated,
        get states() {
          return refused.states;
        },
      };
    }
    const reply = admissions.toReply(subject, ask, day, replied);
    if (!reply.admitted) return reply;
    // Redis is told of it before its lease there is over; the first heartbeat is a third of that away.
    const isLate = clock.monotonicMs() - askedMs >= leaseMs / 3;
    if (isLate || !taken.lease.isCovered) {
      reply.lease.release();
      reply.reservation?.void();
      taken.lease.undo();
      return withoutRedis.acquire(subject, ask);
    }
    return joined(reply, taken);
  };

  return {
    decide(subject, ask, taken) {
      if (mayAsk()) return decide(subject, ask, taken);
      taken.lease.undo();
      return withoutRedis.acquire(subject, ask);
    },
  };
}

const joined = (
  own: Extract<AdmissionReply, { admitted: true }>,
  taken: Parameters<OwnAdmission["decide"]>[2],
): AdmissionReply => ({
  admitted: true,
  lease: bothLeases(own.lease, taken.lease),
  ...(own.reservation && { reservation: own.reservation }),
  wouldRefuse: bothRefuse(own.wouldRefuse, taken),
  get states() {
    return own.states;
  },
});

/** What was decided in blocks is nobody's business here. */
function withoutGlobal(ask: AdmissionAsk | undefined): AdmissionAsk | undefined {
  if (ask?.modes === undefined) return ask;
  const { global_in_flight: _, message_rate: __, ...modes } = ask.modes;
  return { ...ask, modes };
}
