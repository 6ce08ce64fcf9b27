import type { Hold } from "@sluice/contract";
import type { Candidate } from "./candidate.ts";
import type { Unwell } from "./health.ts";
import { notReadyOf } from "./provider-readiness.ts";

/**
 * Leave to call a candidate once, as a hold, or why there is none. `waited`: what it asked to wait has
 * been waited.
 */
export function askPermit<In>(
  { provider, health }: Candidate<In>,
  waited = false,
): Hold | Unwell | "not_ready" {
  if (notReadyOf(provider) !== undefined) return "not_ready";
  const permit = health.ask(waited);
  if (typeof permit === "string") return permit;
  return { kind: "permit", release: (end) => permit.settle(end.health ?? "neutral") };
}
