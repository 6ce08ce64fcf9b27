import { ConfigError } from "@sluice/contract";
import { Cluster, type ClusterOptions, type RedisOptions } from "ioredis";

export interface ConnectClusterOptions {
  /** Some of its nodes, as `redis://user:password@host:port`, with one user and password; the others are found. */
  readonly cluster: readonly string[];
  /** From 0, inclusive, to 1; spreads the reconnects of many processes. */
  readonly random: () => number;
  /** For a connection to be made. Default 1000. */
  readonly connectTimeoutMs?: number;
}

export interface ClusterSettings {
  /** Of the connection to each node. */
  readonly node: Pick<
    RedisOptions,
    "autoResendUnfulfilledCommands" | "maxRetriesPerRequest" | "noDelay" | "connectTimeout"
  >;
  /** Milliseconds until the next try to connect. */
  readonly retryInMs: (times: number) => number;
}

/**
 * Tries before a node counts as gone, about ten seconds. Once all of them are gone the names in the URLs are
 * looked up anew.
 */
const triesPerNode = 8;
/** How soon it is seen that another node has taken over. */
const slotsRefreshMs = 2000;
/**
 * A slot that has moved, one that is moving, and a node that does not know a script are an error each, and what
 * comes after the last that counts is told in words that nobody understands.
 */
const leastRedirections = 3;

const own = {
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  // A command whose reply was lost would be sent again.
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
} as const satisfies ClusterOptions;

/** A setting with what it may be. */
export interface Requirement {
  readonly path: readonly string[];
  readonly isMet: (value: unknown) => boolean;
  readonly expected: string;
}

export const clusterRequirements: readonly Requirement[] = [
  ...requireAll(own),
  {
    path: ["maxRedirections"],
    isMet: (value) => typeof value === "number" && value >= leastRedirections,
    expected: `at least ${leastRedirections}`,
  },
  {
    // Without one a lost connection ends, and a command in flight is told as one that was never sent.
    path: ["clusterNodeRetryStrategy"],
    isMet: (value) => typeof value === "function",
    expected: "a function",
  },
  {
    // Nothing else sees that a node was replaced, since no command is sent again.
    path: ["slotsRefreshInterval"],
    isMet: (value) => typeof value === "number" && value > 0,
    expected: "some milliseconds",
  },
];

/** Each of the settings as it is. */
export function requireAll(settings: Readonly<Record<string, unknown>>): Requirement[] {
  return Object.entries(settings).map(([name, wanted]) => ({
    path: [name],
    isMet: (value) => value === wanted,
    expected: String(wanted),
  }));
}

/** @throws ConfigError; no URL is shown, it may hold a password */
export function connectCluster(
  { cluster, random }: ConnectClusterOptions,
  { node, retryInMs }: ClusterSettings,
): Cluster {
  const { nodes, ofAll } = parseNodes(cluster);
  const client = new Cluster(nodes, {
    ...own,
    maxRedirections: leastRedirections,
    slotsRefreshInterval: slotsRefreshMs * (0.9 + 0.2 * random()),
    clusterRetryStrategy: retryInMs,
    clusterNodeRetryStrategy: (times) => (times > triesPerNode ? null : retryInMs(times)),
    redisOptions: {
      ...node,
      ...ofAll,
      // Else those that come while the first command connects a node are refused.
      lazyConnect: false,
    },
    // A certificate is made out to a name.
    ...(ofAll.tls && { dnsLookup: (name, found) => found(null, name) }),
  });
  client.on("error", () => undefined);
  return client;
}

type OfAll = Pick<RedisOptions, "username" | "password" | "tls">;

function parseNodes(urls: readonly string[]): {
  readonly nodes: { readonly host: string; readonly port: number }[];
  readonly ofAll: OfAll;
} {
  const [first, ...others] = Array.isArray(urls) ? urls.map(parseNode) : [];
  if (first === undefined) throw wrong("no URL", "at least one node");
  const isLike = (other: URL): boolean =>
    (["protocol", "username", "password"] as const).every((part) => other[part] === first[part]);
  if (!others.every(isLike)) {
    throw wrong("URLs that differ (not shown)", "one scheme, user and password for all nodes");
  }
  const { username, password, protocol } = first;
  return {
    nodes: [first, ...others].map(({ hostname, port }) => ({
      host: hostname.replaceAll(/^\[|\]$/g, ""),
      port: Number(port || 6379),
    })),
    ofAll: {
      ...(username !== "" && { username: decodeURIComponent(username) }),
      ...(password !== "" && { password: decodeURIComponent(password) }),
      ...(protocol === "rediss:" && { tls: {} }),
    },
  };
}

function parseNode(text: unknown): URL {
  const parsed = typeof text === "string" ? URL.parse(text) : null;
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === "") {
    throw wrong("a URL that is none of Redis (not shown)", "redis://user:password@host:port");
  }
  if (!/^\/?0?$/.test(parsed.pathname)) {
    throw wrong("a URL with a database (not shown)", "none: a cluster has database 0 alone");
  }
  return parsed;
}

const wrong = (got: string, expected: string): ConfigError =>
  new ConfigError({ option: "connectRedis.cluster", got, expected });
