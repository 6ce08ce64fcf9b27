import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import type { AdmissionReply } from "@sluice/contract";
import {
  FakeClock,
  lacksRedisServer,
  privateRedisCluster,
  type PrivateRedisCluster,
} from "@sluice/testkit";
import type { Cluster } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";
import { createShards } from "./shards.ts";

const secret = "a secret of the tests";
const count = 12;
const limit = 96;

describe.skipIf(lacksRedisServer())("shards on a cluster", { timeout: 60_000 }, () => {
  let cluster: PrivateRedisCluster;
  const clients: Cluster[] = [];
  beforeAll(async () => {
    cluster = await privateRedisCluster();
  }, 60_000);
  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await cluster.remove();
  });

  const connect = async (): Promise<Cluster> => {
    const urls = cluster.nodes.map(({ url }) => url);
    const client = connectRedis({ cluster: urls, random: () => 0.5 });
    clients.push(client);
    if (client.status !== "ready") await once(client, "ready");
    // Nodes are connected to one after another.
    await vi.waitFor(() => {
      expect(client.nodes().map((node) => node.status)).toEqual(urls.map(() => "ready"));
    }, 30_000);
    return client;
  };

  it("stand on all its nodes, share the limits, follow demand, and are given back", async () => {
    const clock = new FakeClock();
    const namespace = `t${randomUUID()}`;
    const states: string[] = [];
    const connected = [await connect(), await connect()];
    const [client] = connected;
    if (client === undefined) throw new Error("not connected");
    const stores = connected.map((on) =>
      redisAdmission(
        {
          client: on,
          clock,
          random: () => 0.5,
          instanceId: randomUUID(),
          namespace,
          secret,
          deadlineMs: 5000,
          onState: (state) => states.push(state),
          shards: { count },
          globalInFlight: { limit },
          userInFlight: { limit: 2 },
          messageRate: { count: 10_000, perMs: 1000 },
        },
        () => 1e12 + clock.monotonicMs(),
      ),
    );
    const shards = createShards({ namespace, secret, shards: { count } });
    const owners = await Promise.all(shards.all.map(({ shares }) => cluster.ownerOf(shares)));
    expect(new Set(owners).size).toBe(cluster.nodes.length);

    const live: Extract<AdmissionReply, { admitted: true }>[] = [];
    /** How many of these were let in. */
    const ask = async (subjects: readonly string[]): Promise<number> => {
      const replies = await Promise.all(
        subjects.map(async (subject, n) => stores[n % 2]?.acquire(subject)),
      );
      let admitted = 0;
      for (const reply of replies) {
        if (reply === undefined || reply === "unavailable") throw new Error("no answer");
        if (!reply.admitted) continue;
        live.push(reply);
        admitted += 1;
      }
      return admitted;
    };
    const someOf = (shard: number, wanted: number): string[] => {
      const found: string[] = [];
      while (found.length < wanted) {
        const subject = randomUUID();
        if (shards.indexOf(subject) === shard) found.push(subject);
      }
      return found;
    };

    // The first of each shard is served, though none has a share yet.
    expect(await ask(shards.all.flatMap((_, shard) => someOf(shard, 1)))).toBe(count);
    // One user's third is not, wherever it is asked for.
    const [one = ""] = someOf(5, 1);
    expect(await ask([one, one, one, one])).toBe(2);
    for (let second = 0; second < 6; second += 1) {
      await ask(someOf(7, limit));
      expect(live.length).toBeLessThanOrEqual(limit);
      await clock.advanceAsync(1100);
      // A rebalance is five trips, to all nodes each time.
      for (let trip = 0; trip < 12; trip += 1) {
        await Promise.all(connected.flatMap((on) => on.nodes("master").map((node) => node.ping())));
        await setImmediate();
      }
    }
    expect(live.length).toBeGreaterThanOrEqual(limit * 0.8);
    const shares = shards.all.map(async (keys) => Number(await client.hget(keys.shares, "p")));
    const sum = (await Promise.all(shares)).reduce((all, share) => all + share, 0);
    expect(sum).toBeLessThanOrEqual(limit);

    for (const { lease } of live) lease.release();
    await Promise.all(stores.map((store) => store.flush()));
    const left = shards.all.map(({ globalInFlight }) => client.zcard(globalInFlight));
    expect(await Promise.all(left)).toEqual(shards.all.map(() => 0));
    for (const store of stores) {
      expect(store.state()).toEqual({ leases: 0, pending: 0, dropped: 0 });
      store.close();
    }
    expect(states).toEqual([]);
  });
});
