import { randomUUID } from "node:crypto";
import { systemClock } from "@sluice/guard";
import { redisAdmission, type RedisAdmission, type RedisAdmissionOptions } from "@sluice/redis";
import type { Redis } from "ioredis";
import { RateLimiterRedis, RateLimiterUnion } from "rate-limiter-flexible";
import { expressLimiter } from "./express-limiter.ts";

/** One decision, with giving back what it took. Rejects where it did not admit. */
export type Decide = () => Promise<unknown>;

export const names = [
  "PING",
  "no-op EVALSHA",
  "sluice, three dimensions",
  "sluice, three dimensions and two budgets",
  "rate-limiter-flexible, single",
  "rate-limiter-flexible, Union of four",
  "express-rate-limit + rate-limit-redis",
] as const;
export type Contender = (typeof names)[number];

export interface Contenders {
  readonly decide: Readonly<Record<Contender, Decide>>;
  /** Global limits alone, in blocks: in flight, and with the rate of messages. At once, or with a promise. */
  readonly inBlocks: Readonly<Record<"in flight" | "in flight and message rate", () => unknown>>;
  /** Resolves once nothing is under way. */
  close(): Promise<void>;
}

const subjects = 1000;
/** Nobody is refused: what is measured is the way through. */
const ample = 1_000_000_000;
const rate = { count: ample, perMs: 60_000 } as const;
const caps = { calls: ample, tokens: 1e13, costNanoUsd: 1e15 } as const;
const budget = {
  inputTokens: 500,
  outputTokens: 500,
  minOutputTokens: 16,
  price: { inputNanoUsdPerToken: 2500, outputNanoUsdPerToken: 10_000 },
} as const;
const usage = { inputTokens: 480, outputTokens: 120 } as const;

/** All on one client, so with the same settings. */
export async function startContenders(client: Redis): Promise<Contenders> {
  const run = randomUUID();
  const noop = String(await client.script("LOAD", "return 1"));
  const store = (more: Partial<RedisAdmissionOptions>): RedisAdmission =>
    redisAdmission({
      client,
      clock: systemClock,
      random: Math.random,
      instanceId: randomUUID(),
      namespace: `bench-${randomUUID()}`,
      secret: randomUUID(),
      // What is late is measured, not given up.
      deadlineMs: 10_000,
      globalInFlight: { limit: ample },
      ...more,
    });
  const three = { userInFlight: { limit: 1000 }, messageRate: rate } as const;
  const dimensions = store(three);
  const budgets = store({ ...three, userBudget: caps, globalBudget: caps });
  const globalBlocks = { processes: 4 } as const;
  const places = store({ globalBlocks });
  const placesAndRate = store({ globalBlocks, messageRate: rate });
  const limiter = (name: string): RateLimiterRedis =>
    new RateLimiterRedis({
      storeClient: client,
      keyPrefix: `bench-${run}-${name}`,
      points: ample,
      duration: 60,
    });
  const single = limiter("single");
  const union = new RateLimiterUnion(...["a", "b", "c", "d"].map(limiter));
  const throughExpress = expressLimiter(client, `bench-${run}:`);
  let asked = 0;
  const subject = (): string => `user-${(asked += 1) % subjects}`;
  return {
    decide: {
      PING: () => client.ping(),
      "no-op EVALSHA": () => client.evalsha(noop, 1, `bench-${run}`, "a"),
      async "sluice, three dimensions"() {
        release(await dimensions.acquire(subject()));
      },
      async "sluice, three dimensions and two budgets"() {
        release(await budgets.acquire(subject(), { budget }));
      },
      "rate-limiter-flexible, single": () => single.consume(subject()),
      "rate-limiter-flexible, Union of four": () => union.consume(subject()),
      "express-rate-limit + rate-limit-redis": () => throughExpress(subject()),
    },
    inBlocks: {
      "in flight": () => releaseAll(places.acquire(subject())),
      "in flight and message rate": () => releaseAll(placesAndRate.acquire(subject())),
    },
    async close() {
      await Promise.all([dimensions.flush(), budgets.flush()]);
      for (const one of [dimensions, budgets, places, placesAndRate]) one.close();
    },
  };
}

type Answer = Awaited<ReturnType<RedisAdmission["acquire"]>>;

function release(answer: Answer): void {
  if (answer === "unavailable" || !answer.admitted) throw new Error("bench: refused");
  answer.reservation?.settle(usage);
  answer.lease.release();
}

const releaseAll = (answer: Answer | Promise<Answer>): unknown =>
  answer instanceof Promise ? answer.then(release) : release(answer);
