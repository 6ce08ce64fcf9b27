import { Reason, type Clock, type GateMode } from "@sluice/contract";
import type { AdmissionStoreOptions } from "./bench.ts";

interface ModelLease {
  readonly subject: string;
  readonly countsUser: boolean;
  readonly countsGlobal: boolean;
  endsMs: number;
}

export interface ModelReply {
  readonly refused: ReadonlySet<Reason>;
  readonly wouldRefuse: ReadonlySet<Reason>;
}

export interface AdmissionModel {
  acquire(subject: string): ModelReply;
  /** Leases by the order in which they were asked for, refused ones counted. */
  release(lease: number): void;
  renew(lease: number): void;
}

/**
 * What the suite expects of a store, written as plainly as possible: a list of leases, and a bucket of
 * tokens instead of the arrival times that implementations keep.
 */
export function admissionModel(options: AdmissionStoreOptions, clock: Clock): AdmissionModel {
  const asked: (ModelLease | undefined)[] = [];
  const { userInFlight, globalInFlight, messageRate, leaseMs } = options;
  const intervalMs = messageRate === undefined ? 0 : messageRate.perMs / messageRate.count;
  const fullCreditMs = intervalMs * (messageRate?.burst ?? 0);
  let creditMs = fullCreditMs;
  let creditAtMs = clock.monotonicMs();

  const live = (): ModelLease[] =>
    asked.filter(
      (lease) => lease !== undefined && lease.endsMs > clock.monotonicMs(),
    ) as ModelLease[];

  return {
    acquire(subject) {
      const nowMs = clock.monotonicMs();
      creditMs = Math.min(fullCreditMs, creditMs + nowMs - creditAtMs);
      creditAtMs = nowMs;
      const leases = live();
      const users = leases.filter((lease) => lease.countsUser && lease.subject === subject).length;
      const all = leases.filter((lease) => lease.countsGlobal).length;
      const full: readonly (readonly [Reason, GateMode, boolean])[] = [
        [
          Reason.USER_IN_FLIGHT,
          modeOf(userInFlight),
          userInFlight !== undefined && users >= userInFlight.limit,
        ],
        [
          Reason.GLOBAL_IN_FLIGHT,
          modeOf(globalInFlight),
          globalInFlight !== undefined && all >= globalInFlight.limit,
        ],
        [Reason.MESSAGE_RATE, modeOf(messageRate), creditMs < intervalMs],
      ];
      const reasons = (mode: GateMode): ReadonlySet<Reason> =>
        new Set(full.filter(([, its, isFull]) => isFull && its === mode).map(([reason]) => reason));
      const refused = reasons("enforce");
      const wouldRefuse = reasons("shadow");
      if (refused.size > 0) {
        asked.push(undefined);
        return { refused, wouldRefuse };
      }
      if (modeOf(messageRate) !== "off" && !wouldRefuse.has(Reason.MESSAGE_RATE)) {
        creditMs -= intervalMs;
      }
      asked.push({
        subject,
        countsUser: !wouldRefuse.has(Reason.USER_IN_FLIGHT),
        countsGlobal: !wouldRefuse.has(Reason.GLOBAL_IN_FLIGHT),
        endsMs: nowMs + leaseMs,
      });
      return { refused, wouldRefuse };
    },
    release(lease) {
      asked[lease] = undefined;
    },
    renew(lease) {
      const held = asked[lease];
      const nowMs = clock.monotonicMs();
      if (held !== undefined && held.endsMs > nowMs) held.endsMs = nowMs + leaseMs;
    },
  };
}

function modeOf(dimension: { readonly mode?: GateMode } | undefined): GateMode {
  return dimension === undefined ? "off" : (dimension.mode ?? "enforce");
}
