import { ConfigError } from "@sluice/contract";
import { Redis, type Cluster, type RedisOptions } from "ioredis";
import {
  clusterRequirements,
  connectCluster,
  requireAll,
  type ConnectClusterOptions,
  type Requirement,
} from "./cluster-client.ts";

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

/** No command is sent a second time: one whose reply was lost would run twice. */
const connection = {
  autoResendUnfulfilledCommands: false,
  // Without it ioredis 6.0.0 leaves promises of a lost connection unsettled.
  maxRetriesPerRequest: 0,
} as const satisfies RedisOptions;
/** What keeps a request from waiting for Redis: besides, no queue while it is away. */
const settings = {
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  ...connection,
} as const satisfies RedisOptions;

const firstReconnectMs = 100;
const longestReconnectMs = 2000;

/**
 * A connection of its own with the settings that admission needs, to a server or to a cluster. It never rejects
 * and keeps trying, so an application starts while Redis is down.
 * @throws ConfigError for a URL that is none; the URL is not shown, it may hold a password.
 */
export function connectRedis(options: ConnectClusterOptions): Cluster;
export function connectRedis(options: ConnectRedisOptions): Redis;
export function connectRedis(options: ConnectRedisOptions | ConnectClusterOptions) {
  const { random, connectTimeoutMs = 1000 } = options;
  const common = { noDelay: true, connectTimeout: connectTimeoutMs };
  const retryInMs = (times: number): number =>
    Math.min(longestReconnectMs, firstReconnectMs * 2 ** Math.min(times, 5)) * (0.5 + random());
  if ("cluster" in options) {
    return connectCluster(options, { node: { ...connection, ...common }, retryInMs });
  }
  const parsed = URL.parse(options.url);
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol)) {
    throw new ConfigError({
      option: "connectRedis.url",
      got: "a URL that is none of Redis (not shown)",
      expected: "redis://user:password@host:port/db",
    });
  }
  const client = new Redis(options.url, { ...settings, ...common, retryStrategy: retryInMs });
  // The store tells of it once per change of state.
  client.on("error", () => undefined);
  return client;
}

const ofServer = requireAll(settings);
const ofCluster: readonly Requirement[] = [
  ...clusterRequirements,
  ...requireAll(connection).map((one) => ({ ...one, path: ["redisOptions", ...one.path] })),
];

/**
 * @throws ConfigError naming the setting of a handed-in client with which a request would wait for a Redis
 * that is away, or a decision be made twice
 */
export function assertClient(option: string, client: unknown): void {
  const { options, isCluster } = client as {
    readonly options?: unknown;
    readonly isCluster?: unknown;
  };
  if (!isRecord(options)) return;
  for (const { path, isMet, expected } of isCluster === true ? ofCluster : ofServer) {
    const found = path.reduce<unknown>(
      (within, name) => (isRecord(within) ? within[name] : undefined),
      options,
    );
    if (isMet(found)) continue;
    throw new ConfigError({
      option: `${option}.options.${path.join(".")}`,
      got: String(found),
      expected: `${expected}, as connectRedis() sets it`,
    });
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
