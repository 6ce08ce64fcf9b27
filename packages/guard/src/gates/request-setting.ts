import type { GuardRequest } from "@sluice/contract";
import { admissionRules } from "@sluice/policy";
import type { GateSetting } from "./gate.ts";

/**
 * How a request obeys admission: by its switches, where it brings any, else as configured. The gate as a
 * whole is then enforced, and each dimension's own mode decides.
 */
export function settingOfRequest(
  { switches }: Pick<GuardRequest, "switches">,
  configured: GateSetting,
): GateSetting {
  if (switches === undefined || configured.mode === "off") return configured;
  return { mode: "enforce", onIndeterminate: admissionRules(switches).onIndeterminate };
}
