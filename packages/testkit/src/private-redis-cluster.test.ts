import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { privateRedisCluster, type PrivateRedisCluster } from "./private-redis-cluster.ts";
import { lacksRedisServer } from "./private-redis.ts";

describe.skipIf(lacksRedisServer())("privateRedisCluster", () => {
  let cluster: PrivateRedisCluster;
  beforeAll(async () => {
    cluster = await privateRedisCluster({ settings: { maxmemory: "20mb" } });
  }, 60_000);
  afterAll(() => cluster.remove());

  it("is three servers with the settings asked for, which know who has each slot", async () => {
    expect(cluster.nodes).toHaveLength(3);
    for (const node of cluster.nodes) {
      expect(await node.cli("cluster", "info")).toMatch(/cluster_state:ok/);
      expect(await node.cli("config", "get", "maxmemory")).toBe(`maxmemory\n${20 * 1024 ** 2}`);
      const ranges = await node.cli("cluster", "nodes");
      for (const range of ["0-5460", "5461-10921", "10922-16383"]) expect(ranges).toContain(range);
    }
  });

  it("sends a key to the server that has its slot", async () => {
    const owner = await cluster.ownerOf("a");
    expect(await owner.cli("set", "a", "1")).toBe("OK");
    for (const node of cluster.nodes) {
      if (node === owner) continue;
      expect(await node.cli("get", "a")).toBe(`MOVED 15495 127.0.0.1:${String(owner.port)}`);
    }
  });

  it("moves a slot with all that is in it", async () => {
    const names = Array.from({ length: 250 }, (_, at) => `{moved}:${String(at)}`);
    const from = await cluster.ownerOf("{moved}");
    await from.cli("mset", ...names.flatMap((name) => [name, "1"]));
    const to = cluster.nodes.find((node) => node !== from) ?? from;
    await cluster.moveSlot("{moved}", to);
    expect(await cluster.ownerOf("{moved}")).toBe(to);
    expect(await to.cli("exists", ...names)).toBe("250");
    expect(await from.cli("exists", ...names)).toMatch(/^MOVED /);
    await cluster.whenWhole();
  });

  it("is whole again once a server that died is back, which keeps its slots and has lost its keys", async () => {
    const owner = await cluster.ownerOf("a");
    await owner.cli("set", "a", "1");
    await owner.kill9();
    await owner.start();
    await cluster.whenWhole();
    expect(await cluster.ownerOf("a")).toBe(owner);
    expect(await owner.cli("exists", "a")).toBe("0");
  }, 20_000);

  it("has a replica take over with all that was there", async () => {
    const owner = await cluster.ownerOf("b");
    await owner.cli("set", "b", "1");
    const replica = await cluster.addReplica(owner);
    await owner.kill9();
    expect(await replica.cli("cluster", "failover", "takeover")).toBe("OK");
    await vi.waitFor(async () => {
      expect(await replica.cli("get", "b")).toBe("1");
    });
  }, 20_000);
});
