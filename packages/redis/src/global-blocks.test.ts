import { randomUUID } from "node:crypto";
import type { AdmissionLease, Clock } from "@sluice/contract";
import {
  array,
  assert,
  asyncProperty,
  constant,
  integer,
  nat,
  oneof,
  record,
  tuple,
} from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { FakeClock } from "@sluice/testkit";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission, type RedisAdmission } from "./redis-admission.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
// Crashed processes never stop listening.
client.setMaxListeners(0);
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const leaseMs = 3000;
const hopMs = 250;
const atStart = 1e12;

/** Processes of one namespace, on one time; one that crashed stands still. */
async function startFleet(size: number, options: Partial<RedisAdmissionOptions>) {
  await ready;
  const namespace = `t${randomUUID()}`;
  const time = new FakeClock();
  const start = (clock: Clock): RedisAdmission =>
    redisAdmission(
      {
        client,
        clock,
        random: () => 0.5,
        instanceId: randomUUID(),
        namespace,
        secret: "a secret of the tests",
        deadlineMs: 5000,
        leaseMs,
        globalBlocks: { processes: size },
        ...options,
      },
      () => atStart + time.monotonicMs(),
    );
  const members = Array.from({ length: size }, () => {
    const clock = new FakeClock();
    return { clock, store: start(clock) };
  });
  /** In steps, after each of which what was sent is answered. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= hopMs) {
      const hop = Math.min(left, hopMs);
      time.advance(hop);
      for (const { clock } of members) clock.advance(hop);
      await client.ping();
    }
  };
  return { time, members, start, pass };
}

describe("global limits in blocks", () => {
  it("are decided at once while a block has room, and a trip is made when it has none", async () => {
    const { members } = await startFleet(2, { globalInFlight: { limit: 400 } });
    const [one] = members;
    const first = one?.store.acquire("anna");
    expect(first).toBeInstanceOf(Promise);
    expect(await first).toMatchObject({ admitted: true });
    expect(one?.store.acquire("anna")).toMatchObject({ admitted: true });
  });

  it("admit all of the limit but what others hold unused, and not one more", async () => {
    const { members } = await startFleet(2, { globalInFlight: { limit: 400 } });
    const [one, two] = members.map(({ store }) => store);
    expect(await two?.acquire("anna")).toMatchObject({ admitted: true });
    const replies = await Promise.all(
      Array.from({ length: 500 }, async () => one?.acquire("anna")),
    );
    const admitted = replies.filter((reply) => typeof reply === "object" && reply.admitted).length;
    // A block is 10, of which the other took 5 and the one that came.
    expect(admitted).toBeGreaterThanOrEqual(400 - 1 - 10);
    expect(admitted).toBeLessThanOrEqual(400 - 1);
    expect(await one?.acquire("anna")).toMatchObject({
      admitted: false,
      reason: "GLOBAL_IN_FLIGHT",
      violated: ["global_in_flight"],
    });
  });

  it("what a crashed process held is free again after its lease", async () => {
    const { members, start, pass, time } = await startFleet(2, {
      globalInFlight: { limit: 60 },
      globalBlocks: { processes: 3 },
    });
    const [one] = members;
    const taken = await Promise.all(
      Array.from({ length: 60 }, async () => one?.store.acquire("anna")),
    );
    expect(taken.every((reply) => typeof reply === "object" && reply.admitted)).toBe(true);
    members.length = 0;
    const other = start(time);
    await pass(leaseMs - 1);
    expect(await other.acquire("anna")).toMatchObject({ admitted: false });
    await pass(1);
    expect(await other.acquire("anna")).toMatchObject({ admitted: true });
  });

  it("are not used by a process that thaws after its lease", async () => {
    const { start, pass, time } = await startFleet(2, {
      globalInFlight: { limit: 60 },
      globalBlocks: { processes: 3 },
    });
    const frozen = start({
      monotonicMs: () => time.monotonicMs(),
      wallMs: () => time.wallMs(),
      after: () => () => undefined,
      every: () => () => undefined,
    });
    const reply = await frozen.acquire("anna");
    if (reply === "unavailable" || !reply.admitted) throw new Error("it was not admitted");
    reply.lease.release();
    expect(frozen.acquire("anna")).toMatchObject({ admitted: true });
    await pass(leaseMs);
    expect(frozen.acquire("anna")).toBeInstanceOf(Promise);
  });

  it("need heartbeats", async () => {
    const options = { globalInFlight: { limit: 400 }, heartbeat: false };
    await expect(startFleet(1, options)).rejects.toThrow("what a process holds is renewed by them");
  });

  it("refuses a limit that is too small to be cut", async () => {
    await expect(startFleet(3, { globalInFlight: { limit: 59 } })).rejects.toThrow(
      "at least 60, 20 for each of globalBlocks.processes",
    );
  });

  it("I4 never hold more than the limit, whatever comes, goes, crashes and expires", async () => {
    const size = 3;
    const limit = 60;
    const step = oneof(
      {
        weight: 5,
        arbitrary: record({
          do: constant("acquire" as const),
          who: nat(2),
          count: integer({ min: 1, max: 40 }),
        }),
      },
      {
        weight: 4,
        arbitrary: record({
          do: constant("release" as const),
          who: nat(2),
          count: integer({ min: 1, max: 40 }),
        }),
      },
      {
        weight: 2,
        arbitrary: record({
          do: constant("pass" as const),
          who: constant(0),
          count: integer({ min: 1, max: 4000 }),
        }),
      },
      {
        weight: 1,
        arbitrary: record({
          do: constant("crash" as const),
          who: nat(2),
          count: constant(0),
        }),
      },
    );
    await assert(
      asyncProperty(array(step, { maxLength: 25 }), async (steps) => {
        const { members, time, pass } = await startFleet(size, { globalInFlight: { limit } });
        const all = [...members];
        const live = all.map(() => new Map<AdmissionLease, number>());
        const count = (): number => {
          const now = time.monotonicMs();
          let sum = 0;
          for (const leases of live) {
            for (const [lease, atMs] of leases) {
              if (atMs + leaseMs <= now) leases.delete(lease);
            }
            sum += leases.size;
          }
          return sum;
        };
        for (const { do: what, who, count: many } of steps) {
          const member = all[who];
          const leases = live[who];
          if (member === undefined || leases === undefined) continue;
          const isUp = members.includes(member);
          if (what === "pass") await pass(many);
          if (what === "crash" && isUp) {
            members.splice(members.indexOf(member), 1);
            leases.clear();
          }
          if (what === "release" && isUp) {
            for (const lease of [...leases.keys()].slice(0, many)) {
              lease.release();
              leases.delete(lease);
            }
          }
          if (what === "acquire" && isUp) {
            const asked = Array.from({ length: many }, async () => member.store.acquire("anna"));
            for (const reply of await Promise.all(asked)) {
              if (reply === "unavailable" || !reply.admitted) continue;
              leases.set(reply.lease, time.monotonicMs());
            }
          }
          await client.ping();
          expect(count()).toBeLessThanOrEqual(limit);
        }
        for (const { store } of all) store.close();
      }),
      { numRuns: 60 },
    );
  });

  it("never let more messages through than the rate and its burst, in any span of time", async () => {
    const size = 3;
    const burst = 60;
    const emissionMs = 10;
    await assert(
      asyncProperty(
        array(tuple(nat(2), integer({ min: 1, max: 30 }), nat(400)), {
          maxLength: 20,
        }),
        async (turns) => {
          const { members, time, pass } = await startFleet(size, {
            messageRate: { count: burst, perMs: burst * emissionMs },
          });
          const atMs: number[] = [];
          for (const [who, many, waitMs] of turns) {
            const store = members[who]?.store;
            if (store === undefined) continue;
            const asked = Array.from({ length: many }, async () => store.acquire("anna"));
            for (const reply of await Promise.all(asked)) {
              if (reply === "unavailable") throw new Error("Redis did not answer");
              if (reply.admitted) atMs.push(time.monotonicMs());
              if (reply.admitted) reply.lease.release();
            }
            for (const [index, first] of atMs.entries()) {
              const inSpan = atMs.length - index;
              const spanMs = time.monotonicMs() - first;
              expect(inSpan).toBeLessThanOrEqual(burst + spanMs / emissionMs + 1e-6);
            }
            await pass(waitMs);
          }
          for (const { store } of members) store.close();
        },
      ),
      { numRuns: 60 },
    );
  });
});
