export {
  allowlist,
  budget,
  circuitBreaker,
  featureFlag,
  killSwitch,
  reportUsage,
  type CardOptions,
} from "./cards.ts";
export { guardRoute, type GuardRouteOptions } from "./guard-route.ts";
