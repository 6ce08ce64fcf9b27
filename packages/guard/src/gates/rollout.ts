import { Reason } from "@sluice/contract";
import { bucketOf, isEligibleSubject } from "@sluice/policy";
import { allow, type Gate, type GateSetting } from "./gate.ts";

const out = { effect: "divert", reason: Reason.NOT_IN_ROLLOUT } as const;

/** Is the subject's bucket inside the percentage? */
export function rolloutGate<In>(setting: GateSetting): Gate<In> {
  return {
    name: "rollout",
    ...setting,
    reason: Reason.NOT_IN_ROLLOUT,
    detail: "bucket(subject) < percent",
    check({ request, flags, included }) {
      // Asked before by the feature flag's gate, but not where this gate is placed alone.
      if (!isEligibleSubject(request.subject)) return out;
      if (included) return allow;
      const { percent, salt } = flags.flags;
      if (percent === 100) return allow;
      return bucketOf(salt, request.subject) < percent ? allow : out;
    },
  };
}
