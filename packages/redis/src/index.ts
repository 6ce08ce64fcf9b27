export type { LossMode, RedisAdmissionOptions } from "./admission-options.ts";
export type { ConnectClusterOptions } from "./cluster-client.ts";
export {
  readGlobalBudget,
  type BudgetClient,
  type GlobalBudgetUse,
  type ReadGlobalBudgetOptions,
} from "./read-global-budget.ts";
export {
  redisAdmission,
  type RedisAdmission,
  type RedisAdmissionState,
} from "./redis-admission.ts";
export { connectRedis, type ConnectRedisOptions, type RedisClient } from "./redis-client.ts";
