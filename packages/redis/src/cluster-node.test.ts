import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  FakeClock,
  freePort,
  lacksRedisServer,
  privateRedis,
  type PrivateRedis,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createKeys } from "./keys.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const secret = "a secret of the tests";
const formedMs = 20_000;

const startOn = (bus: number): Promise<PrivateRedis> =>
  privateRedis({ settings: { "cluster-enabled": "yes", "cluster-port": bus } });

/** All slots have a node, and this one knows. */
async function assertFormed(node: PrivateRedis): Promise<void> {
  const info = await node.cli("cluster", "info");
  const nodes = await node.cli("cluster", "nodes");
  if (info.includes("cluster_state:ok") && nodes.includes(" 0-16383")) return;
  throw new Error("the cluster is not formed");
}

/** Scripts that the node sent elsewhere. */
async function rejectedBy(node: PrivateRedis): Promise<number> {
  const stats = await node.cli("info", "commandstats");
  return Number(/cmdstat_evalsha:.*rejected_calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

describe.skipIf(lacksRedisServer())("a node of a cluster, taken for a server", () => {
  let here: PrivateRedis;
  let elsewhere: PrivateRedis;
  beforeAll(async () => {
    const bus = await freePort();
    here = await startOn(await freePort());
    elsewhere = await startOn(bus);
    await elsewhere.cli("cluster", "addslotsrange", "0", "16383");
    await here.cli("cluster", "meet", "127.0.0.1", String(elsewhere.port), String(bus));
    for (const node of [here, elsewhere]) {
      await vi.waitFor(() => assertFormed(node), { timeout: formedMs, interval: 50 });
    }
  }, 2 * formedMs);
  afterAll(async () => {
    await here.remove();
    await elsewhere.remove();
  });

  /** A store on the node, which says `word` of each of its keys. */
  const open = async (word: "MOVED" | "ASK") => {
    const namespace = `t${randomUUID()}`;
    const key = createKeys(namespace, secret).globalInFlight;
    const node = word === "MOVED" ? here : elsewhere;
    const slot = await node.cli("cluster", "keyslot", key);
    const setSlot = (...to: string[]) => node.cli("cluster", "setslot", slot, ...to);
    if (word === "ASK") await setSlot("migrating", await here.cli("cluster", "myid"));
    expect(await node.cli("zcard", key)).toMatch(new RegExp(`^${word} ${slot} `));
    const client = connectRedis({ url: node.url, random: () => 0.5 });
    await once(client, "ready");
    const clock = new FakeClock();
    const states: string[] = [];
    const store = redisAdmission({
      client,
      clock,
      random: () => 0.5,
      instanceId: randomUUID(),
      namespace,
      secret,
      deadlineMs: 5000,
      globalInFlight: { limit: 1000 },
      onLoss: "local",
      onState: (state) => states.push(state),
    });
    const close = (): void => {
      store.close();
      client.disconnect();
    };
    return { store, clock, states, node, close, settle: () => setSlot("stable") };
  };

  it.each(["MOVED", "ASK"] as const)(
    "that says %s is lost, told of once, and not asked again at once",
    async (word) => {
      const { store, clock, states, node, close } = await open(word);
      const before = await rejectedBy(node);
      for (let n = 0; n < 500; n += 1) {
        const reply = await store.acquire("ann");
        if (reply === "unavailable" || !reply.admitted) throw new Error("not admitted");
        reply.lease.release();
      }
      expect(states).toEqual(["lost"]);
      const asked = (await rejectedBy(node)) - before;
      // Those that found it lost, what the first of them gave back, and that this process is there.
      expect(asked).toBeGreaterThanOrEqual(3);
      expect(asked).toBeLessThanOrEqual(5);
      expect(store.state().pending).toBeGreaterThan(0);
      await clock.advanceAsync(1000);
      await store.acquire("ann");
      expect(states).toEqual(["lost"]);
      expect((await rejectedBy(node)) - before - asked).toBeLessThanOrEqual(3);
      close();
    },
  );

  it("is found once the slot is its own, and hears what ended in between", async () => {
    const { store, clock, states, close, settle } = await open("ASK");
    for (let n = 0; n < 5; n += 1) {
      const reply = await store.acquire("ann");
      if (reply !== "unavailable" && reply.admitted) reply.lease.release();
    }
    await settle();
    await clock.advanceAsync(1000);
    expect(await store.acquire("ann")).toMatchObject({ admitted: true });
    expect(states).toEqual(["lost", "found"]);
    await store.flush();
    expect(store.state()).toEqual({ leases: 1, pending: 0, dropped: 0 });
    close();
  });
});
