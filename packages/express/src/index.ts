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
export { guardRoute, type GuardRouteOptions } from "./guard-route.ts";
