import type { Switches } from "@sluice/contract";

/** Whether the gateway answers; the shadow wins, and then the legacy handler does. */
export function isAuthoritative(switches: Switches): boolean {
  return switches.FF_CHAT_GATEWAY_ENABLED && !switches.FF_CHAT_GATEWAY_SHADOW;
}
