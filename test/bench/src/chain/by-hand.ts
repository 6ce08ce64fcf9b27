import CircuitBreaker from "opossum";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { executor, type Job } from "./full-guard.ts";

/**
 * What a user would put together instead: a flag from the environment, a rate limiter and a circuit
 * breaker from npm around the same executor. It has no kill in flight, budget, contract, in-flight
 * limit, rollout or record.
 */
export function byHand(): (job: Job) => Promise<unknown> {
  const rate = new RateLimiterMemory({ points: 1_000_000_000, duration: 1 });
  const breaker = new CircuitBreaker(executor, { timeout: 30_000 });
  return async ({ id, metadata }) => {
    if (process.env["FEATURE_BENCH"] !== "true" || !metadata.allowAI) return undefined;
    await rate.consume(id);
    return breaker.fire();
  };
}
