import { ConfigError } from "@sluice/contract";
import { Redis, type RedisOptions } from "ioredis";

/** What a store asks of a client. ioredis' `Redis` and `Cluster` have it. */
export interface RedisClient {
  evalsha(sha: string, keyCount: number, ...rest: (string | number)[]): Promise<unknown>;
  eval(text: string, keyCount: number, ...rest: (string | number)[]): Promise<unknown>;
  script(what: "LOAD", text: string): Promise<unknown>;
  /** `ready` once commands are taken. */
  readonly status: string;
  on(event: "ready" | "close", listener: () => void): unknown;
  off(event: "ready" | "close", listener: () => void): unknown;
  disconnect(): void;
}

export interface ConnectRedisOptions {
  /** `redis://user:password@host:port/db`, or `rediss:` with TLS. */
  readonly url: string;
  /** From 0, inclusive, to 1; spreads the reconnects of many processes. */
  readonly random: () => number;
  /** For a connection to be made. Default 1000. */
  readonly connectTimeoutMs?: number;
}

/**
 * What keeps a request from waiting for Redis: no queue while it is away, no command sent a second time
 * (one whose reply was lost would run twice), no retries.
 */
const settings = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  // Without it ioredis 6.0.0 leaves promises of a lost connection unsettled.
  maxRetriesPerRequest: 0,
  enableAutoPipelining: false,
  noDelay: true,
} as const satisfies RedisOptions;

const firstReconnectMs = 100;
const longestReconnectMs = 2000;

/**
 * A connection of its own with the settings that admission needs. It never rejects and keeps trying, so an
 * application starts while Redis is down.
 * @throws ConfigError for a URL that is none; the URL is not shown, it may hold a password.
 */
export function connectRedis(options: ConnectRedisOptions): Redis {
  const { url, random, connectTimeoutMs = 1000 } = options;
  const parsed = URL.parse(url);
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol)) {
    throw new ConfigError({
      option: "connectRedis.url",
      got: "a URL that is none of Redis (not shown)",
      expected: "redis://user:password@host:port/db",
    });
  }
  const client = new Redis(url, {
    ...settings,
    connectTimeout: connectTimeoutMs,
    retryStrategy: (times) =>
      Math.min(longestReconnectMs, firstReconnectMs * 2 ** Math.min(times, 5)) * (0.5 + random()),
  });
  // The store tells of it once per change of state.
  client.on("error", () => undefined);
  return client;
}

/**
 * @throws ConfigError naming the setting of a handed-in client with which a request would wait for a Redis
 * that is away, or a decision be made twice
 */
export function assertClient(option: string, client: unknown): void {
  const { options } = client as { readonly options?: unknown };
  if (!isRecord(options)) return;
  const cluster = isRecord(options["redisOptions"]) ? options["redisOptions"] : options;
  for (const [name, wanted] of Object.entries(settings)) {
    if (name === "noDelay") continue;
    const found = cluster[name] ?? options[name];
    if (found === wanted) continue;
    throw new ConfigError({
      option: `${option}.options.${name}`,
      got: String(found),
      expected: `${String(wanted)}, as connectRedis() sets it`,
    });
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
