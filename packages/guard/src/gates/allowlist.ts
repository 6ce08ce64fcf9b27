import { Reason } from "@sluice/contract";
import { compileAllowlist, type AllowlistRule } from "@sluice/policy";
import { allow, type Gate, type GateSetting } from "./gate.ts";

/** `require`: only who is listed passes. `include`: who is listed skips the percentage. */
export type AllowlistMode = "require" | "include";

/**
 * Does a rule permit the subject? The rules of the code and the list of the flag source must both
 * permit it, where they exist; a list can only narrow the other.
 */
export function allowlistGate<In>(
  rules: readonly AllowlistRule[] | undefined,
  allowlistMode: AllowlistMode,
  setting: GateSetting,
): Gate<In> {
  const matches = rules === undefined ? undefined : compileAllowlist(rules);
  return {
    name: "allowlist",
    ...setting,
    reason: Reason.NOT_ALLOWLISTED,
    detail: `${allowlistMode}, ${rules === undefined ? "the flags' list if any" : `${rules.length} rules`}`,
    check(context) {
      const { subject, attributes } = context.request;
      const listed = context.flags.listed;
      if (matches === undefined && listed === undefined) return allow;
      const permitted =
        (matches?.(subject, attributes) ?? true) && (listed?.(subject, attributes) ?? true);
      if (allowlistMode === "include") {
        // Neither a gate in shadow nor a list that may be half written widens anything.
        const widens = setting.mode === "enforce" && context.flags.flags.settling !== true;
        context.included = permitted && widens;
        return allow;
      }
      return permitted ? allow : { effect: "divert", reason: Reason.NOT_ALLOWLISTED };
    },
  };
}
