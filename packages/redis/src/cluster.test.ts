import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AdmissionLease, AdmissionReply } from "@sluice/contract";
import {
  FakeClock,
  faultyProxy,
  lacksRedisServer,
  privateRedisCluster,
  type PrivateRedis,
  type PrivateRedisCluster,
} from "@sluice/testkit";
import { Cluster } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { createKeys } from "./keys.ts";
import { readGlobalBudget } from "./read-global-budget.ts";
import { redisAdmission, type RedisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

type ClusterOptions = NonNullable<ConstructorParameters<typeof Cluster>[1]>;

const secret = "a secret of the tests";
/** Of a fake clock. */
const day = "2026-01-01";
const budget = { inputTokens: 10, outputTokens: 20, minOutputTokens: 1, price: undefined };
const everything = {
  userInFlight: { limit: 50 },
  globalInFlight: { limit: 50 },
  messageRate: { count: 100_000, perMs: 1000 },
  userBudget: { calls: 10_000 },
  globalBudget: { tokens: 1_000_000 },
} as const;

const keyOf = (namespace: string): string => createKeys(namespace, secret).globalInFlight;

/** What a cluster hashes. */
const tagOf = (key: string): string => key.slice(0, key.indexOf("}") + 1);

function leaseOf(reply: AdmissionReply | "unavailable"): AdmissionLease {
  if (reply === "unavailable" || !reply.admitted) throw new Error("not admitted");
  return reply.lease;
}

const callsOf = async (node: PrivateRedis, command: string): Promise<number> => {
  const stats = await node.cli("info", "commandstats");
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
};
/** Resolves once Redis has heard of all that ended, however often it is told. */
async function whenDrained(store: RedisAdmission): Promise<void> {
  await vi.waitFor(
    () => {
      void store.flush();
      expect(store.state().pending).toBe(0);
    },
    { timeout: 20_000, interval: 20 },
  );
}

/** Scripts that the node sent elsewhere. */
const rejectedBy = async (node: PrivateRedis): Promise<number> => {
  const stats = await node.cli("info", "commandstats");
  return Number(/cmdstat_evalsha:.*rejected_calls=(\d+)/.exec(stats)?.[1] ?? 0);
};

describe.skipIf(lacksRedisServer())("redisAdmission on a cluster", { timeout: 60_000 }, () => {
  let cluster: PrivateRedisCluster;
  const closers: (() => void)[] = [];
  beforeAll(async () => {
    cluster = await privateRedisCluster();
  }, 60_000);
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });
  afterAll(() => cluster.remove());

  const connect = async (client: Cluster): Promise<Cluster> => {
    closers.push(() => client.disconnect());
    if (client.status !== "ready") await once(client, "ready");
    // Nodes are connected to one after another.
    await vi.waitFor(() => {
      expect(client.nodes().map((node) => node.status)).toEqual(["ready", "ready", "ready"]);
    }, 30_000);
    return client;
  };
  const ours = (): Promise<Cluster> =>
    connect(connectRedis({ cluster: cluster.nodes.map(({ url }) => url), random: () => 0.5 }));

  /** One made elsewhere, which looks at the slots only where it is sent elsewhere. */
  const handedIn = async (options: ClusterOptions = {}): Promise<Cluster> =>
    connect(
      new Cluster(
        cluster.nodes.map(({ url }) => url),
        // Its own type has undefined where its constructor takes none.
        { ...(await ours()).options, slotsRefreshInterval: 600_000, ...options } as ClusterOptions,
      ),
    );

  const open = (client: Cluster, options: Partial<RedisAdmissionOptions>) => {
    const clock = new FakeClock();
    const namespace = `t${randomUUID()}`;
    const states: string[] = [];
    const store = redisAdmission({
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret,
      deadlineMs: 5000,
      onState: (state) => states.push(state),
      ...options,
    });
    closers.push(() => store.close());
    return { store, clock, states, namespace, key: keyOf(options.namespace ?? namespace) };
  };

  /** A name whose keys are on this node. */
  const namespaceOn = async (node: PrivateRedis): Promise<string> => {
    for (;;) {
      const name = `t${randomUUID()}`;
      if ((await cluster.ownerOf(keyOf(name))) === node) return name;
    }
  };
  const otherThan = (node: PrivateRedis): PrivateRedis => {
    const other = cluster.nodes.find((one) => one !== node);
    if (other === undefined) throw new Error("there is one node");
    return other;
  };

  it("keeps all of a decision's keys in one slot", async () => {
    const { store, namespace, key } = open(await ours(), everything);
    for (const subject of ["ann", "ben", "cleo"]) {
      leaseOf(await store.acquire(subject, { budget }));
    }
    await store.flush();
    const owner = await cluster.ownerOf(key);
    const slot = await owner.cli("cluster", "keyslot", key);
    const found = (await owner.cli("keys", `*${namespace}*`)).split("\n");
    for (const what of [":in", ":msg", `:day:${day}`]) expect(found).toContain(tagOf(key) + what);
    for (const name of found) expect(await owner.cli("cluster", "keyslot", name)).toBe(slot);
    for (const node of cluster.nodes.filter((one) => one !== owner)) {
      expect(await node.cli("keys", `*${namespace}*`)).toBe("");
    }
  });

  it("brings its scripts to whichever node has the keys, also after they were flushed", async () => {
    const client = await ours();
    for (const node of cluster.nodes) {
      const namespace = await namespaceOn(node);
      const { store, states } = open(client, { ...everything, namespace });
      leaseOf(await store.acquire("ann", { budget })).release();
      await store.flush();
      await node.cli("script", "flush");
      const before = await callsOf(node, "eval");
      const replies = await Promise.all(
        Array.from({ length: 20 }, async () => {
          // Each in a turn of its own, so that there are several trips.
          await new Promise(setImmediate);
          return store.acquire("ann", { budget });
        }),
      );
      for (const reply of replies) leaseOf(reply).release();
      await store.flush();
      // The decision, and what ended.
      expect((await callsOf(node, "eval")) - before).toBe(2);
      expect(states).toEqual([]);
      expect(await node.cli("zcard", keyOf(namespace))).toBe("0");
    }
  });

  it("takes one command for a decision", async () => {
    const client = await ours();
    const { store, key } = open(client, { ...everything, heartbeat: false });
    const owner = await cluster.ownerOf(key);
    leaseOf(await store.acquire("ann", { budget }));
    const before = await callsOf(owner, "evalsha");
    for (let n = 0; n < 10; n += 1) leaseOf(await store.acquire("ann", { budget }));
    expect((await callsOf(owner, "evalsha")) - before).toBe(10);
  });

  it("gives places back and settles budgets", async () => {
    const client = await ours();
    const { store, namespace, key } = open(client, everything);
    for (let n = 0; n < 5; n += 1) {
      const reply = await store.acquire("ann", { budget });
      if (reply === "unavailable" || !reply.admitted) throw new Error("not admitted");
      reply.reservation?.settle({ inputTokens: 7, outputTokens: 2 });
      reply.lease.release();
    }
    await store.flush();
    expect(store.state()).toEqual({ leases: 0, pending: 0, dropped: 0 });
    expect(await client.zcard(key)).toBe(0);
    expect(await readGlobalBudget(client, { namespace, day })).toMatchObject({
      settled: { calls: 5, tokens: 45 },
      open: { calls: 0 },
    });
  });

  it("goes with a slot that moved to a node without its scripts: what is in flight counts on, and nothing is lost", async () => {
    const client = await handedIn();
    const { store, states, key } = open(client, {
      globalInFlight: { limit: 3 },
      heartbeat: false,
    });
    const held = [leaseOf(await store.acquire("ann")), leaseOf(await store.acquire("ben"))];
    const from = await cluster.ownerOf(key);
    const to = otherThan(from);
    await to.cli("script", "flush");
    await cluster.moveSlot(key, to);
    const before = { moved: await rejectedBy(from), evals: await callsOf(to, "eval") };
    held.push(leaseOf(await store.acquire("cleo")));
    expect(await rejectedBy(from)).toBe(before.moved + 1);
    expect(await callsOf(to, "eval")).toBe(before.evals + 1);
    expect(await store.acquire("dan")).toMatchObject({ admitted: false });
    expect(await to.cli("zcard", key)).toBe("3");
    for (const lease of held) lease.release();
    await store.flush();
    expect(await to.cli("zcard", key)).toBe("0");
    expect(states).toEqual([]);
  });

  it("I3 lets no more in than the limit while the slot moves under load, and leaves nothing behind", async () => {
    const client = await ours();
    const limit = 5;
    const { store, clock, key } = open(client, {
      globalInFlight: { limit },
      messageRate: { count: 1_000_000, perMs: 1000 },
      globalBudget: { calls: 1_000_000 },
    });
    const from = await cluster.ownerOf(key);
    const to = otherThan(from);
    const moved = new AbortController();
    let [most, inFlight, admitted] = [0, 0, 0];
    const ask = async (): Promise<void> => {
      const reply = await store.acquire("ann", { budget });
      if (reply === "unavailable") {
        // It was told at once, and what it waits for comes in another turn.
        await new Promise(setImmediate);
        clock.advance(1000);
        return;
      }
      if (!reply.admitted) return;
      inFlight += 1;
      admitted += 1;
      most = Math.max(most, inFlight);
      await new Promise(setImmediate);
      inFlight -= 1;
      reply.lease.release();
      reply.reservation?.settle(undefined);
    };
    const load = Array.from({ length: 20 }, async () => {
      while (!moved.signal.aborted) await ask();
    });
    for (const target of [to, from, to]) await cluster.moveSlot(key, target);
    moved.abort();
    await Promise.all(load);
    expect(admitted).toBeGreaterThan(limit);
    expect(most).toBe(limit);
    const before = admitted;
    await vi.waitFor(
      async () => {
        await ask();
        expect(admitted).toBeGreaterThan(before);
      },
      { timeout: 10_000, interval: 10 },
    );
    await whenDrained(store);
    expect(store.state()).toEqual({ leases: 0, pending: 0, dropped: 0 });
    expect(await to.cli("zcard", key)).toBe("0");
  });

  it("gives back what was taken by a decision whose reply was lost with the connection", async () => {
    const [target] = cluster.nodes;
    if (target === undefined) throw new Error("there is no node");
    const proxy = await faultyProxy({ port: target.port });
    closers.push(() => void proxy.close());
    const client = await handedIn({
      natMap: (node) =>
        node === `127.0.0.1:${String(target.port)}`
          ? { host: "127.0.0.1", port: proxy.port }
          : null,
    });
    const namespace = await namespaceOn(target);
    const { store, key } = open(client, {
      ...everything,
      namespace,
      heartbeat: false,
    });
    const held = leaseOf(await store.acquire("ann", { budget }));
    await store.flush();
    proxy.resetBeforeReply();
    const decided = await callsOf(target, "evalsha");
    expect(await store.acquire("ann", { budget })).toBe("unavailable");
    expect((await callsOf(target, "evalsha")) - decided).toBe(1);
    // Once its connection is back; another decision might never come.
    await whenDrained(store);
    expect(await target.cli("zcard", key)).toBe("1");
    held.release();
    expect(await readGlobalBudget(client, { namespace, day })).toMatchObject({
      settled: { calls: 0 },
      open: { calls: 1 },
    });
  });

  it("is lost with the node that has its slot, at once, found when that is back, and whole within a beat", async () => {
    const client = await ours();
    const { store, clock, states, key } = open(client, {
      globalInFlight: { limit: 2 },
      onLoss: "local",
    });
    const held = leaseOf(await store.acquire("ann"));
    await store.flush();
    const owner = await cluster.ownerOf(key);
    await owner.kill9();
    await vi.waitFor(
      async () => {
        leaseOf(await store.acquire("ben")).release();
        expect(states).toEqual(["lost"]);
      },
      { timeout: 10_000 },
    );
    await owner.start();
    await cluster.whenWhole();
    await vi.waitFor(
      async () => {
        await clock.advanceAsync(1000);
        const reply = await store.acquire("cleo");
        if (reply !== "unavailable" && reply.admitted) reply.lease.release();
        await store.flush();
        expect(states).toEqual(["lost", "found"]);
      },
      { timeout: 20_000, interval: 50 },
    );
    // It came back empty, and hears of what lives.
    await clock.advanceAsync(store.leaseMs / 3 + store.leaseMs / 30);
    await store.flush();
    const other = leaseOf(await store.acquire("dan"));
    expect(await store.acquire("eve")).toMatchObject({ admitted: false });
    held.release();
    other.release();
    await store.flush();
    expect(await owner.cli("zcard", key)).toBe("0");
  });

  it("leaves other nodes' keys alone when one dies", async () => {
    const client = await ours();
    const [one, two] = cluster.nodes;
    if (one === undefined || two === undefined) throw new Error("there is one node");
    const { store, states } = open(client, {
      ...everything,
      namespace: await namespaceOn(two),
    });
    leaseOf(await store.acquire("ann"));
    await one.kill9();
    for (let n = 0; n < 20; n += 1) leaseOf(await store.acquire("ann"));
    expect(states).toEqual([]);
    await one.start();
    await cluster.whenWhole();
  });

  it("goes with a failover: a replica that took over is found, and counts on", async () => {
    const client = await ours();
    const [target] = cluster.nodes;
    if (target === undefined) throw new Error("there is no node");
    const { store, clock, states, key } = open(client, {
      globalInFlight: { limit: 2 },
      namespace: await namespaceOn(target),
      heartbeat: false,
      // The clock goes on while what is in Redis stays.
      leaseMs: 3_600_000,
    });
    const replica = await cluster.addReplica(target);
    const held = leaseOf(await store.acquire("ann"));
    await store.flush();
    await vi.waitFor(
      async () => {
        expect(await replica.cli("info", "keyspace")).toContain("keys=");
      },
      { timeout: 10_000 },
    );
    await target.kill9();
    await vi.waitFor(
      async () => {
        expect(await store.acquire("ben")).toBe("unavailable");
        expect(states).toEqual(["lost"]);
      },
      { timeout: 10_000 },
    );
    expect(await replica.cli("cluster", "failover", "takeover")).toBe("OK");
    await vi.waitFor(
      async () => {
        clock.advance(10_000);
        leaseOf(await store.acquire("cleo"));
      },
      { timeout: 10_000, interval: 50 },
    );
    expect(states).toEqual(["lost", "found"]);
    expect(await store.acquire("dan")).toMatchObject({ admitted: false });
    held.release();
    await store.flush();
    expect(await replica.cli("zcard", key)).toBe("1");
  });
});
