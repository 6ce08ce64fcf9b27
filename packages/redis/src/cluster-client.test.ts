import { FakeClock } from "@sluice/testkit";
import { Cluster } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis, type RedisClient } from "./redis-client.ts";

type ClusterOptions = NonNullable<ConstructorParameters<typeof Cluster>[1]>;

/** As the page on shared limits lists them. */
const safe: ClusterOptions = {
  enableOfflineQueue: false,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  clusterNodeRetryStrategy: () => 500,
  slotsRefreshInterval: 2000,
  redisOptions: { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 },
};
const opened: RedisClient[] = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.disconnect();
});

/** A client that connects to nothing. */
function clusterWith(options: ClusterOptions): Cluster {
  const client = new Cluster(["redis://127.0.0.1:1"], { ...options, lazyConnect: true });
  opened.push(client);
  return client;
}

const admit = (client: RedisClient): void =>
  redisAdmission({
    client,
    clock: new FakeClock(),
    random: () => 0.5,
    instanceId: "one",
    namespace: "faq",
    secret: "a secret of the tests",
  }).close();

describe("a client of a cluster that is handed in", () => {
  it("is taken with settings under which no request waits and nothing runs twice", () => {
    expect(() => admit(clusterWith(safe))).not.toThrow();
  });

  it("is taken as connectRedis makes it, while the cluster is away", () => {
    const client = connectRedis({ cluster: ["redis://127.0.0.1:1"], random: () => 0.5 });
    opened.push(client);
    expect(() => admit(client)).not.toThrow();
  });

  it.each<readonly [ClusterOptions, string]>([
    [{ enableOfflineQueue: true }, "enableOfflineQueue: got true, expected false"],
    [{ enableAutoPipelining: true }, "enableAutoPipelining: got true, expected false"],
    [{ retryDelayOnFailover: 100 }, "retryDelayOnFailover: got 100, expected 0"],
    [{ retryDelayOnClusterDown: 100 }, "retryDelayOnClusterDown: got 100, expected 0"],
    [{ maxRedirections: 2 }, "maxRedirections: got 2, expected at least 3"],
    [{ clusterNodeRetryStrategy: null }, "clusterNodeRetryStrategy: got null, expected a function"],
    [
      { slotsRefreshInterval: undefined },
      "slotsRefreshInterval: got undefined, expected some milliseconds",
    ],
    [
      { redisOptions: { maxRetriesPerRequest: 0 } },
      "redisOptions.autoResendUnfulfilledCommands: got undefined, expected false",
    ],
    [
      { redisOptions: { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 20 } },
      "redisOptions.maxRetriesPerRequest: got 20, expected 0",
    ],
    [
      { redisOptions: {} },
      "redisOptions.autoResendUnfulfilledCommands: got undefined, expected false",
    ],
  ])("is refused with %j, by one line", (unsafe, line) => {
    expect(() => admit(clusterWith({ ...safe, ...unsafe }))).toThrow(
      `redisAdmission.client.options.${line}, as connectRedis() sets it`,
    );
  });

  it("is refused with ioredis' own defaults", () => {
    expect(() => admit(clusterWith({}))).toThrow(
      "redisAdmission.client.options.enableOfflineQueue: got true",
    );
  });
});

const open = (cluster: readonly string[]): Cluster => {
  const client = connectRedis({ cluster, random: () => 0.5 });
  opened.push(client);
  return client;
};

describe("connectRedis to a cluster", () => {
  const secret = "sentinel-password";

  it("knows nodes by the password, also those that it finds, and certificates by their name", () => {
    const { options } = open([
      `rediss://anna:${secret}%21@one.invalid:7000`,
      `rediss://anna:${secret}%21@[::1]`,
    ]);
    expect(options.redisOptions).toMatchObject({
      username: "anna",
      password: `${secret}!`,
      tls: {},
    });
    const told: unknown[] = [];
    options.dnsLookup?.("one.invalid", (...found) => void told.push(found));
    expect(told).toEqual([[null, "one.invalid"]]);
  });

  it.each<readonly [readonly string[], string]>([
    [[], "got no URL, expected at least one node"],
    [[`http://:${secret}@a.invalid`], "got a URL that is none of Redis (not shown)"],
    [[secret], "got a URL that is none of Redis (not shown)"],
    [
      [`redis://:${secret}@a.invalid/3`],
      "got a URL with a database (not shown), expected none: a cluster has database 0 alone",
    ],
    [
      [`redis://:${secret}@a.invalid`, "redis://b.invalid"],
      "got URLs that differ (not shown), expected one scheme, user and password for all nodes",
    ],
  ])("refuses %j by one line without the password", (cluster, line) => {
    expect(() => open(cluster)).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^(?!.*sentinel-password).*$/) as string,
      }) as Error,
    );
    expect(() => open(cluster)).toThrow(`connectRedis.cluster: ${line}`);
  });
});
