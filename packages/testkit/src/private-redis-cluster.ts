import { setTimeout } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { privateRedis, type PrivateRedis } from "./private-redis.ts";

export interface PrivateRedisClusterOptions {
  /** Of each server's configuration, as `cluster-node-timeout`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** A Redis Cluster of a test's own, on this machine alone: three servers that have slots. */
export interface PrivateRedisCluster {
  /** Without replicas. */
  readonly nodes: readonly PrivateRedis[];
  /** The server that has the slot of a key, as the others see it. */
  ownerOf(key: string): Promise<PrivateRedis>;
  /** Moves the slot of a key and all that is in it, as `redis-cli --cluster reshard` does. */
  moveSlot(key: string, to: PrivateRedis): Promise<void>;
  /** Starts a server that has all that `of` has, and takes over with `cluster failover takeover`. */
  addReplica(of: PrivateRedis): Promise<PrivateRedis>;
  /** Resolves once every server calls the cluster whole. */
  whenWhole(): Promise<void>;
  /** Ends its servers, and removes all they had. */
  remove(): Promise<void>;
}

const size = 3;
const slots = 16_384;
const deadlineMs = 30_000;
/** Keys that travel together. */
const keysPerStep = 100;

/** Makes an empty cluster: its servers know one another, and each has a third of the slots. */
export async function privateRedisCluster(
  options: PrivateRedisClusterOptions = {},
): Promise<PrivateRedisCluster> {
  const nodes: PrivateRedis[] = [];
  const replicas: PrivateRedis[] = [];
  const remove = async (): Promise<void> => {
    await Promise.all([...nodes, ...replicas].map((node) => node.remove()));
  };
  const whenWhole = (): Promise<void> =>
    poll(() => isWhole([...nodes, ...replicas], nodes.length + replicas.length));
  const slotOf = (key: string): Promise<string> => firstOf(nodes).cli("cluster", "keyslot", key);
  const start = async (): Promise<{ readonly node: PrivateRedis; readonly bus: string }> => {
    // The usual one, ten thousand above the server's own, may be no port at all.
    const bus = await freePort();
    const settings = {
      // Replicas are not waited for.
      "repl-diskless-sync-delay": 0,
      ...options.settings,
      "cluster-enabled": "yes",
      "cluster-port": bus,
    };
    return { node: await privateRedis({ settings }), bus: String(bus) };
  };
  const meet = (node: PrivateRedis, bus: string): Promise<void> =>
    ok(firstOf(nodes), "cluster", "meet", "127.0.0.1", String(node.port), bus);

  try {
    for (let place = 0; place < size; place += 1) {
      const { node, bus } = await start();
      nodes.push(node);
      const [from, below] = [place, place + 1].map((at) => Math.floor((at * slots) / size));
      await ok(node, "cluster", "addslotsrange", String(from), String(Number(below) - 1));
      if (place > 0) await meet(node, bus);
    }
    await whenWhole();
  } catch (error) {
    await remove();
    throw error;
  }

  const ownerOf = async (key: string): Promise<PrivateRedis> => {
    for (const node of nodes) {
      const reply = await node.cli("exists", key);
      if (/^\d+$/.test(reply)) return node;
    }
    throw new Error("no server has the slot");
  };

  return {
    nodes,
    ownerOf,
    whenWhole,
    remove,
    async addReplica(of) {
      const { node, bus } = await start();
      replicas.push(node);
      await meet(node, bus);
      const id = await of.cli("cluster", "myid");
      // It knows that one a little later than it was met.
      await poll(async () => (await node.cli("cluster", "replicate", id)) === "OK");
      await poll(async () => (await node.cli("info", "replication")).includes("link_status:up"));
      await whenWhole();
      return node;
    },
    async moveSlot(key, to) {
      const slot = await slotOf(key);
      const from = await ownerOf(key);
      const [fromId, toId] = [await from.cli("cluster", "myid"), await to.cli("cluster", "myid")];
      // In this order, so that neither server ever sends a client to one that knows nothing of it.
      await ok(to, "cluster", "setslot", slot, "importing", fromId);
      await ok(from, "cluster", "setslot", slot, "migrating", toId);
      for (;;) {
        const found = await from.cli("cluster", "getkeysinslot", slot, String(keysPerStep));
        if (found === "") break;
        const target = ["127.0.0.1", String(to.port), "", "0", "5000"];
        const moved = await from.cli("migrate", ...target, "keys", ...found.split("\n"));
        // None where all ended in between.
        if (!/^(OK|NOKEY)$/.test(moved)) throw new Error(`the slot was not moved: ${moved}`);
      }
      const rest = nodes.filter((node) => node !== to);
      for (const node of [to, ...rest]) await ok(node, "cluster", "setslot", slot, "node", toId);
    },
  };
}

/** @throws Error where it does not become true in time */
async function poll(isTrue: () => Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + deadlineMs;
  while (!(await isTrue())) {
    if (performance.now() > giveUpMs) throw new Error("the Redis cluster did not become whole");
    await setTimeout(20);
  }
}

/** All of them know that many, and a server of each slot. */
async function isWhole(nodes: readonly PrivateRedis[], count: number): Promise<boolean> {
  for (const node of nodes) {
    const info = await node.cli("cluster", "info").catch(() => "");
    const known = Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1]);
    if (!info.includes("cluster_state:ok") || known !== count) return false;
  }
  return true;
}

/** @throws Error with what the server said instead of OK; `redis-cli` ends well all the same */
async function ok(node: PrivateRedis, ...command: readonly string[]): Promise<void> {
  const reply = await node.cli(...command);
  if (reply !== "OK") throw new Error(`${command.join(" ")}: ${reply}`);
}

function firstOf(nodes: readonly PrivateRedis[]): PrivateRedis {
  const [first] = nodes;
  if (first === undefined) throw new Error("the cluster has no server");
  return first;
}
