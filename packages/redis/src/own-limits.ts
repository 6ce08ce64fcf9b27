import type { RedisAdmissionSettings } from "./admission-options.ts";
import type { Admissions } from "./admissions.ts";
import type { Deadline } from "./deadline.ts";
import type { Leases } from "./leases.ts";
import type { OwnAdmission } from "./own-admission.ts";
import { createOwnByClaim } from "./own-by-claim.ts";
import { createOwnByTrip, type OwnByTripParts } from "./own-by-trip.ts";
import { unsent } from "./remote-store.ts";
import type { RunScript } from "./run-script.ts";
import type { Shards } from "./shards.ts";
import { createSubjectCalls } from "./subject-calls.ts";
import { createSubjectLeases, type SubjectLeases } from "./subject-leases.ts";
import { renewalsPerLease } from "./subject-reply.ts";
import type { Upkeep } from "./upkeep.ts";
import type { WrongType } from "./wrong-type.ts";

/** Whatever is counted beside global limits, as the options say: by trips, or by claims of subjects. */
export interface OwnLimits extends OwnAdmission {
  /** Requests that are counted in this process, not in Redis. */
  readonly inFlight: number;
  /** Tells Redis what is counted here. */
  renew(): void;
  close(): void;
}

export interface OwnLimitsParts extends Omit<OwnByTripParts, "leaseMs" | "clock"> {
  readonly settings: RedisAdmissionSettings;
  readonly shards: Pick<Shards, "keysOf">;
  readonly newId: () => string;
  readonly run: RunScript;
  readonly upkeep: Upkeep;
  readonly leases: Leases;
  readonly deadline: Deadline;
  readonly scriptTime: () => string;
  readonly admissions: Pick<Admissions, "toReply" | "toLease">;
  readonly heard: <Answer>(answer: Answer | WrongType | undefined) => Answer | undefined;
}

/** Undefined where nothing is counted but global limits. */
export function createOwnLimits(parts: OwnLimitsParts): OwnLimits | undefined {
  const { settings, leases } = parts;
  const { clock, leaseMs, userInFlight, userBudget, globalBudget, subjectLeases } = settings;
  if ((userInFlight ?? userBudget ?? globalBudget) === undefined) return undefined;
  if (userInFlight === undefined || subjectLeases === undefined) {
    const byTrip = createOwnByTrip({ ...parts, clock, leaseMs });
    return { ...byTrip, inFlight: 0, renew: () => undefined, close: () => undefined };
  }
  const claimMs = subjectLeases.leaseMs;
  const subjects = toSubjectLeases(parts, { claimMs, limit: userInFlight.limit });
  const typicalWaitMs = (): number => leases.typicalWaitMs();
  const byClaim = createOwnByClaim({ ...parts, userInFlight, clock, subjects, typicalWaitMs });
  const stop = clock.every(claimMs / renewalsPerLease, () => subjects.renew());
  return {
    ...byClaim,
    get inFlight() {
      return subjects.inFlight;
    },
    renew: () => subjects.renew(),
    close() {
      stop();
      subjects.close();
    },
  };
}

function toSubjectLeases(
  parts: OwnLimitsParts,
  own: { readonly claimMs: number; readonly limit: number },
): SubjectLeases {
  const { settings, shards, upkeep } = parts;
  return createSubjectLeases({
    ...parts,
    ...settings,
    ...own,
    capacity: settings.maxLeases,
    claimKeyOf: (subject) => shards.keysOf(subject).claim(subject),
    placeOf(subject) {
      const keys = shards.keysOf(subject);
      return {
        subject: keys.hashed(subject),
        counted: { shard: keys.shard, set: undefined, lists: keys.usersInFlight },
      };
    },
    calls: createSubjectCalls({
      ...parts,
      ...settings,
      ...own,
      // What ended in this turn makes room first.
      beforeSend: () => upkeep.send(),
    }),
    giveBack(place, id, error) {
      if (error instanceof Error && unsent.test(error.message)) return;
      upkeep.add({ do: "release", ...place, id });
    },
  });
}
