import { Reason, type AdmissionReply, type AdmissionState, type Clock } from "@sluice/contract";
import type { Day } from "@sluice/policy";
import type { Admissions } from "./admissions.ts";
import type { RedisAdmissionSettings } from "./admission-options.ts";
import { bothLeases, bothRefuse, type OwnAdmission, type OwnReply } from "./own-admission.ts";
import type { SubjectLeases } from "./subject-leases.ts";
import type { SubjectReply } from "./subject-reply.ts";
import type { WithoutRedis } from "./without-redis.ts";

/** A subject's requests in flight, counted here while this process has the subject to itself. */
export function createOwnByClaim(parts: {
  readonly userInFlight: NonNullable<RedisAdmissionSettings["userInFlight"]>;
  readonly clock: Clock;
  readonly dayOf: (wallMs: number) => Day;
  readonly subjects: Pick<SubjectLeases, "acquire">;
  readonly admissions: Pick<Admissions, "toLease">;
  readonly withoutRedis: Pick<WithoutRedis, "acquire">;
  readonly typicalWaitMs: () => number;
}): OwnAdmission {
  const { userInFlight, clock, dayOf, subjects, admissions, withoutRedis, typicalWaitMs } = parts;
  const { limit } = userInFlight;
  const dimension = "user_in_flight" as const;
  type Decide = Parameters<OwnAdmission["decide"]>;

  const toReply = ([subject, ask, taken]: Decide, own: SubjectReply | undefined): OwnReply => {
    if (own === undefined || (own.isAdmitted && !taken.lease.isCovered)) {
      if (own?.isAdmitted === true) own.lease.release();
      taken.lease.undo();
      return withoutRedis.acquire(subject, ask);
    }
    const mode = ask?.modes?.[dimension] ?? userInFlight.mode;
    const states = (inUse: number): readonly AdmissionState[] => [
      // Nothing tells when a place becomes free.
      { dimension, mode, limit, remaining: Math.max(0, limit - inUse), resetMs: 0 },
    ];
    if (!own.isAdmitted) {
      taken.lease.undo();
      return {
        admitted: false,
        reason: Reason.USER_IN_FLIGHT,
        retryAfterMs: own.movesInMs ?? typicalWaitMs(),
        wouldRefuse: taken.wouldRefuse,
        violated: [dimension],
        // How many another process let in is not known here.
        ...(own.movesInMs === undefined && { states: states(own.inUse) }),
      };
    }
    const lease = admissions.toLease(own.lease, subject, ask, dayOf(clock.wallMs()));
    const reply: AdmissionReply = {
      admitted: true,
      lease: bothLeases(lease, taken.lease),
      wouldRefuse: bothRefuse(own.isBeside ? [Reason.USER_IN_FLIGHT] : [], taken),
      get states() {
        return states(own.inUse);
      },
    };
    return reply;
  };

  return {
    decide(...who) {
      const [subject, ask] = who;
      const own = subjects.acquire(subject, ask?.modes?.[dimension] ?? userInFlight.mode);
      if (!(own instanceof Promise)) return toReply(who, own);
      return own.then((reply) => toReply(who, reply));
    },
  };
}
