import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { gcra, tatOfShare } from "@sluice/policy";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { createShards } from "./shards.ts";
import { connectRedis } from "./redis-client.ts";
import { scriptRunner, type RunScript } from "./run-script.ts";
import { rebalanceShares, type RebalanceCause } from "./shares-rebalance.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const ready = once(client, "ready");
const { run } = scriptRunner(client);

const count = 4;
const places = 23;
const burst = 18;
const toleranceMs = 6000;

/** Shards of a fresh namespace, what the tests do to them, and what they hold. */
function open() {
  const shards = createShards({
    namespace: `t${randomUUID()}`,
    secret: "a secret of the tests",
    shards: { count },
  }).all;
  let nowMs = 1e12;
  let used = 0;
  const at = (shard: number) => {
    const keys = shards[shard % count];
    if (keys === undefined) throw new Error("no such shard");
    return keys;
  };
  const held = async (field: "p" | "b"): Promise<number[]> => {
    const all = await Promise.all(shards.map(({ shares }) => client.hget(shares, field)));
    return all.map(Number);
  };
  const inUse = () => Promise.all(shards.map(({ globalInFlight }) => client.zcard(globalInFlight)));
  return {
    shards,
    held,
    now: () => nowMs,
    pass: (ms: number) => void (nowMs += ms),
    /** Told by Redis' own reply where it is not there. */
    share: async (shard: number, field: "p" | "b") => client.hget(at(shard).shares, field),
    rebalance: (by: RunScript, cause: RebalanceCause = "missing", who = randomUUID()) =>
      rebalanceShares(
        {
          shards,
          limits: { places, rate: { burst, toleranceMs } },
          who,
          run: by,
          scriptTime: () => String(nowMs),
        },
        cause,
      ),
    /** As decisions do: no more than the share. */
    async use(shard: number, wanted: number) {
      const { shares, globalInFlight } = at(shard);
      const room = Number(await client.hget(shares, "p")) - (await client.zcard(globalInFlight));
      for (let n = 0; n < Math.min(wanted, room); n += 1) {
        await client.zadd(globalInFlight, nowMs + 3_600_000, `m${(used += 1)}`);
      }
      if (wanted > room && (await client.exists(shares)) === 1) {
        await client.hincrby(shares, "x", wanted - room);
      }
    },
    free: (shard: number) => client.del(at(shard).globalInFlight),
    inUse,
    /** Messages let through, of so many. */
    async send(shard: number, wanted: number) {
      const { shares, messageRate } = at(shard);
      const own = Number(await client.hget(shares, "b"));
      let tatMs = Number(await client.get(messageRate));
      let sent = 0;
      while (sent < (own > 0 ? wanted : 0)) {
        const verdict = gcra(tatMs, nowMs, { count: own, perMs: toleranceMs, burst: own });
        if (!verdict.allowed) break;
        tatMs = verdict.tatMs;
        sent += 1;
      }
      if (sent > 0) await client.set(messageRate, String(tatMs), "PX", 3_600_000);
      if (own > 0) await client.hincrby(shares, "m", wanted);
      return sent;
    },
    async lose(shard: number) {
      const { shares, globalInFlight, messageRate, rebalance } = at(shard);
      await client.del(shares, globalInFlight, messageRate, rebalance);
    },
  };
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

const shard = fc.nat(count - 1);
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("start" as const) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("answer" as const),
      which: fc.nat(50),
      times: fc.integer({ min: 1, max: 14 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("break" as const),
      which: fc.nat(50),
      isRun: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const), shard }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("use" as const), shard, n: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("free" as const), shard }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("send" as const), shard, n: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.nat(3000) }) },
);

interface Call {
  readonly go: (isAnswered: boolean, isRun?: boolean) => Promise<void>;
}

describe("shares of shards", () => {
  it("never add up to more than the limit after any step of several rebalances at once, broken off, late, or of shards that lost their data", async () => {
    await ready;
    let ended = 0;
    let superseded = 0;
    const steps = fc.array(step, { minLength: 30, maxLength: 60, size: "max" });
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const fleet = open();
        const pending: Call[] = [];
        const startMs = fleet.now();
        let sent = 0;
        let losses = 0;
        // Each call waits until a step lets it through: any order, as late as can be.
        const held: RunScript = (script, keys, args) =>
          new Promise((resolve, reject) => {
            const call: Call = {
              async go(isAnswered, isRun = true) {
                pending.splice(pending.indexOf(call), 1);
                const reply = isRun ? await run(script, keys, args) : undefined;
                if (isAnswered) resolve(reply);
                else reject(new Error("broken off"));
                // Until whoever heard of it has asked for the next.
                await setImmediate();
              },
            };
            pending.push(call);
          });
        const start = (): void => {
          // Or the one before would not be taken for broken off.
          fleet.pass(201);
          const note = async (): Promise<void> => {
            const end = await fleet.rebalance(held);
            ended += end === "done" ? 1 : 0;
            superseded += end === "superseded" ? 1 : 0;
          };
          note().catch(() => undefined);
        };
        const check = async (): Promise<void> => {
          const counts = await Promise.all([fleet.held("p"), fleet.inUse(), fleet.held("b")]);
          const [ofPlaces = 0, inUse = 0, ofBurst = 0] = counts.map(sum);
          expect(ofPlaces).toBeLessThanOrEqual(places);
          expect(inUse).toBeLessThanOrEqual(places);
          expect(ofBurst).toBeLessThanOrEqual(burst);
          const earned = ((fleet.now() - startMs) * burst) / toleranceMs;
          const anew = losses * Math.floor(burst / count);
          expect(sent).toBeLessThanOrEqual(burst + anew + earned + 1e-6);
        };
        start();
        for (const what of all) {
          if (what.do === "start") start();
          else if (what.do === "answer") {
            for (let n = 0; n < what.times && pending.length > 0; n += 1) {
              await pending[what.which % pending.length]?.go(true);
              await check();
            }
          } else if (what.do === "break") {
            await pending[what.which % pending.length]?.go(false, what.isRun);
          } else if (what.do === "lose") {
            losses += 1;
            await fleet.lose(what.shard);
          } else if (what.do === "use") await fleet.use(what.shard, what.n);
          else if (what.do === "free") await fleet.free(what.shard);
          else if (what.do === "send") sent += await fleet.send(what.shard, what.n);
          else fleet.pass(what.ms);
          await check();
        }
        for (let which = 0; pending.length > 0; which += 7) {
          await pending[which % pending.length]?.go(true);
          await check();
        }
        // Undisturbed, and with nothing in use, all is given out again.
        for (let index = 0; index < count; index += 1) await fleet.free(index);
        fleet.pass(60_000);
        expect(await fleet.rebalance(run)).toBe("done");
        fleet.pass(60_000);
        expect(await fleet.rebalance(run)).toBe("done");
        expect(sum(await fleet.held("p"))).toBe(places);
        expect(sum(await fleet.held("b"))).toBe(burst);
        expect(Math.min(...(await fleet.held("p")), ...(await fleet.held("b")))).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
    // Or nothing of this was put to the test.
    expect(ended).toBeGreaterThan(10);
    expect(superseded).toBeGreaterThan(10);
  }, 120_000);

  it("are equal at first, and whoever comes while that is done is told so", async () => {
    await ready;
    const fleet = open();
    const first = fleet.rebalance(run);
    const second = fleet.rebalance(run);
    expect(await Promise.all([first, second])).toEqual(["done", "busy"]);
    expect(await fleet.held("p")).toEqual([6, 6, 6, 5]);
    expect(await fleet.held("b")).toEqual([5, 5, 4, 4]);
    expect(await fleet.rebalance(run, "wait")).toBe("done");
    expect(await fleet.rebalance(run, "routine")).toBe("done");
    // Nobody has to wait for a claim that was not followed by anything.
    fleet.pass(1000);
    await expect(
      fleet.rebalance(async (script, keys, args) => {
        if (keys[0]?.endsWith(":share") === true) throw new Error("broken off");
        return run(script, keys, args);
      }),
    ).rejects.toThrow("broken off");
    expect(await fleet.rebalance(run)).toBe("busy");
    fleet.pass(201);
    expect(await fleet.rebalance(run)).toBe("done");
  });

  it("are refused to a rebalance that comes late, also where shards have forgotten the later one", async () => {
    await ready;
    const fleet = open();
    await fleet.rebalance(run);
    fleet.pass(1000);
    const late = Promise.withResolvers<void>();
    // It knows what three have and waits for the fourth.
    const frozen = fleet.rebalance(async (script, keys, args) => {
      if (keys[0] === fleet.shards[3]?.shares) await late.promise;
      return run(script, keys, args);
    });
    await setImmediate();
    fleet.pass(201);
    await fleet.use(0, 6);
    await fleet.use(0, 30);
    expect(await fleet.rebalance(run)).toBe("done");
    const before = await fleet.held("p");
    expect(before[0]).toBeGreaterThan(6);
    await fleet.lose(3);
    late.resolve();
    expect(await frozen).toBe("superseded");
    expect((await fleet.held("p")).slice(0, 3)).toEqual(before.slice(0, 3));
    expect(sum(await fleet.held("p"))).toBeLessThanOrEqual(places);
  });

  it("go on where the shard that numbers rebalances lost its data", async () => {
    await ready;
    const fleet = open();
    for (let n = 0; n < 3; n += 1) {
      await fleet.rebalance(run);
      fleet.pass(1000);
    }
    await fleet.lose(0);
    expect(await fleet.share(0, "p")).toBe(null);
    expect(await fleet.rebalance(run)).toBe("done");
    expect(await fleet.held("p")).toEqual([6, 6, 6, 5]);
  });

  it("are written by one of two rebalances that got the same number, as after a loss", async () => {
    await ready;
    const fleet = open();
    await fleet.rebalance(run);
    fleet.pass(1000);
    const late = Promise.withResolvers<void>();
    const frozen = fleet.rebalance(async (script, keys, args) => {
      if (keys[0]?.endsWith(":share") === true) await late.promise;
      return run(script, keys, args);
    });
    await client.ping();
    await setImmediate();
    await fleet.lose(0);
    expect(await fleet.rebalance(run)).toBe("done");
    const numbers = async (): Promise<unknown[]> =>
      Promise.all(fleet.shards.map(({ shares }) => client.hget(shares, "e")));
    expect(await numbers()).toEqual(["2", "2", "2", "2"]);
    late.resolve();
    // It takes another number before it writes anything.
    expect(await frozen).toBe("done");
    expect(await numbers()).toEqual(["3", "3", "3", "3"]);
  });

  it("are left alone by processes with another number of shards, until those before them are gone", async () => {
    await ready;
    const fleet = open();
    await fleet.rebalance(run);
    fleet.pass(1000);
    const more = (): Promise<unknown> =>
      rebalanceShares(
        {
          shards: fleet.shards.slice(0, 3),
          limits: { places, rate: undefined },
          who: randomUUID(),
          run,
          scriptTime: () => String(fleet.now()),
        },
        "missing",
      );
    await more();
    expect(await fleet.held("p")).toEqual([6, 6, 6, 5]);
    fleet.pass(10_000);
    await more();
    expect((await fleet.held("p")).slice(0, 3)).not.toEqual([6, 6, 6]);
  });

  it("of a rate keep its messages as the policy says", async () => {
    await ready;
    const loads = fc.array(fc.tuple(fc.nat(count - 1), fc.nat(25), fc.nat(2500)), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(loads, async (all) => {
        const fleet = open();
        await fleet.rebalance(run);
        for (const [of, wanted, waitMs] of all) {
          await fleet.send(of, wanted);
          fleet.pass(waitMs + 1);
          const from = await fleet.held("b");
          const before = await Promise.all(
            fleet.shards.map(async ({ messageRate }) => Number(await client.get(messageRate))),
          );
          await fleet.rebalance(run);
          const to = await fleet.held("b");
          for (const [index, { messageRate }] of fleet.shards.entries()) {
            if (from[index] === to[index]) continue;
            const tatMs = tatOfShare(
              before[index] ?? 0,
              fleet.now(),
              toleranceMs,
              from[index] ?? 0,
              to[index] ?? 0,
            );
            expect(Number(await client.get(messageRate))).toBe(tatMs);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});
