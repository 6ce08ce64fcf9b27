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
      if (!isEligibleSubject(request.subject)) return out;
      if (included) return allow;
      const percent = flags?.flags.percent ?? 0;
      if (percent === 100) return allow;
      return bucketOf(flags?.flags.salt ?? "", request.subject) < percent ? allow : out;
    },
  };
}
