export {
  admission,
  allowlist,
  budget,
  circuitBreaker,
  featureFlag,
  killSwitch,
  optIn,
  reportUsage,
  rollout,
  type CardOptions,
} from "./cards.ts";
export { chatGateway, type ChatGatewayHandler, type ChatGatewayOptions } from "./chat-gateway.ts";
export { countResponses } from "./count-responses.ts";
export { guardRoute, type GuardRouteOptions } from "./guard-route.ts";
export { probeRoute, type ProbeRouteOptions, type Sample } from "./probe-route.ts";
