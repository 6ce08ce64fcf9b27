import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { Reason } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const rate = { count: 1, perMs: 60_000 };
const refused = { allowed: false, reason: Reason.TOOL_RATE };
const would = { allowed: true, would: Reason.TOOL_RATE };

async function open(options: Partial<RedisAdmissionOptions>) {
  const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
  await once(client, "ready");
  const clock = new FakeClock();
  const states: string[] = [];
  const store = redisAdmission({
    client,
    clock,
    random: () => 0.5,
    instanceId: randomUUID(),
    namespace: `t${randomUUID()}`,
    secret: "a secret of the tests",
    deadlineMs: 5000,
    onState: (state) => states.push(state),
    ...options,
  });
  const lose = (): void => client.disconnect();
  onTestFinished(() => {
    store.close();
    lose();
  });
  return { store, clock, states, lose };
}

describe("the mode that comes with a tool call", () => {
  it.each(["enforce", "shadow", "off"] as const)(
    "stands in for the store's own, %s",
    async (own) => {
      const { store } = await open({ toolRate: { ...rate, mode: own } });
      // What is off takes nothing.
      expect(await store.takeTool("ann", "off")).toEqual({ allowed: true });
      expect(await store.takeTool("ann", "shadow")).toEqual({ allowed: true });
      expect(await store.takeTool("ann", "enforce")).toMatchObject(refused);
      expect(await store.takeTool("ann", "shadow")).toEqual(would);
      expect(await store.takeTool("ann", "off")).toEqual({ allowed: true });
      const byItself = { enforce: refused, shadow: would, off: { allowed: true } };
      expect(await store.takeTool("ann")).toMatchObject(byItself[own]);
    },
  );

  it("counts also while Redis is lost, onLoss local", async () => {
    const { store, lose } = await open({ toolRate: rate, onLoss: "local" });
    lose();
    expect(await store.takeTool("ann", "shadow")).toEqual({ allowed: true });
    expect(await store.takeTool("ann", "shadow")).toEqual(would);
    expect(await store.takeTool("ann")).toMatchObject(refused);
  });

  it.each([
    ["is off", { toolRate: rate }, "off"],
    ["has no rate to mean", {}, "enforce"],
  ] as const)(
    "asks nobody where it %s: a Redis that is lost is neither missed nor found",
    async (_, limits, mode) => {
      const { store, clock, states, lose } = await open({
        ...limits,
        globalInFlight: { limit: 1 },
      });
      lose();
      for (let asked = 0; asked < 5; asked += 1) {
        expect(await store.takeTool("ann", mode)).toEqual({ allowed: true });
      }
      expect(states).toEqual([]);
      for (let asked = 0; asked < 3; asked += 1) await store.acquire("ann");
      await clock.advanceAsync(1000);
      expect(await store.takeTool("ann", mode)).toEqual({ allowed: true });
      expect(states).toEqual(["lost"]);
    },
  );
});
