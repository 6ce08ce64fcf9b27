import type { Switches } from "@sluice/contract";

/** Who answers: the legacy handler alone, the same with the gateway's checks beside it, or the gateway. */
export type Stage = "legacy" | "shadow" | "authoritative";

/** The shadow wins over any enforcement. */
export function stageOf(switches: Switches): Stage {
  if (!switches.FF_CHAT_GATEWAY_ENABLED) return "legacy";
  return switches.FF_CHAT_GATEWAY_SHADOW ? "shadow" : "authoritative";
}
