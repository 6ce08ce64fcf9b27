import { Reason } from "@sluice/contract";
import { allow, type Gate, type GateSetting } from "./gate.ts";

/** Did the job or request opt in? Exactly `true` is a yes. */
export function optInGate<In>(optIn: (input: In) => unknown, setting: GateSetting): Gate<In> {
  return {
    name: "opt-in",
    ...setting,
    reason: Reason.NOT_OPTED_IN,
    detail: "asks the application",
    check({ input }) {
      const answer = optIn(input);
      // A promise is no yes; one that rejects must not end the process.
      if (answer instanceof Promise) answer.catch(() => undefined);
      return answer === true ? allow : { effect: "divert", reason: Reason.NOT_OPTED_IN };
    },
  };
}
