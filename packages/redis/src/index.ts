export type { LossMode, RedisAdmissionOptions } from "./admission-options.ts";
export {
  redisAdmission,
  type RedisAdmission,
  type RedisAdmissionState,
} from "./redis-admission.ts";
export { connectRedis, type ConnectRedisOptions, type RedisClient } from "./redis-client.ts";
