import { randomUUID } from "node:crypto";
import type { AdmissionLease, AdmissionReply } from "@sluice/contract";
import { array, assert, asyncProperty, constant, integer, nat, oneof, record } from "fast-check";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { startFleet, type Member } from "./fleet-for-tests.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
// Crashed processes never stop listening.
client.setMaxListeners(0);
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const leaseMs = 3000;
const claimMs = 600;
const hopMs = claimMs / 3;
const limit = 3;

/** A process, and what it let in that nobody may count as over. */
interface Seat {
  readonly member: Member;
  readonly live: Map<AdmissionLease, number>;
  /** Since when Redis hears nothing of it. */
  silentSinceMs: number | undefined;
  /** It goes on: by then Redis has heard of all that it has. */
  heardByMs: number | undefined;
}

const step = oneof(
  {
    weight: 8,
    arbitrary: record({ do: constant("acquire"), who: nat(2), count: integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 5,
    arbitrary: record({ do: constant("release"), who: nat(2), count: integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 6,
    arbitrary: record({ do: constant("pass"), who: nat(2), count: integer({ min: 1, max: 1000 }) }),
  },
  {
    weight: 2,
    arbitrary: record({
      do: oneof(constant("freeze"), constant("commands"), constant("answers"), constant("crash")),
      who: nat(2),
      count: constant(0),
    }),
  },
  { weight: 4, arbitrary: record({ do: constant("go on"), who: nat(2), count: constant(0) }) },
);

describe("subjects that processes claim", () => {
  it("I4 never have more in flight than their limit, whoever freezes, crashes, is late or cut off", async () => {
    await ready;
    let admittedInAll = 0;
    let atOnce = 0;
    await assert(
      asyncProperty(
        integer({ min: 2, max: 3 }),
        array(step, { minLength: 20, maxLength: 50 }),
        async (size, steps) => {
          const fleet = startFleet({
            client,
            hopMs,
            newClock: () => new FakeClock(),
            newId: randomUUID,
            options: {
              leaseMs,
              userInFlight: { limit },
              globalInFlight: { limit: 10_000 },
              globalBlocks: { processes: 5 },
              subjectLeases: { leaseMs: claimMs },
            },
          });
          const { time } = fleet;
          const newSeat = (): Seat => ({
            member: fleet.join(),
            live: new Map(),
            silentSinceMs: undefined,
            heardByMs: undefined,
          });
          const seats = Array.from({ length: size }, newSeat);
          const gone: Member[] = [];

          /** What Redis may give to others, since it heard nothing of it for too long, is no longer counted. */
          const forget = (seat: Seat, now: number): void => {
            const { live, silentSinceMs = Infinity, heardByMs = Infinity } = seat;
            // Its last renewal is at most a third of the claim older than the silence.
            if (silentSinceMs + claimMs - hopMs <= Math.min(now, heardByMs)) {
              for (const [lease, atMs] of live) if (atMs <= heardByMs - hopMs) live.delete(lease);
            }
            if (heardByMs > now) return;
            seat.silentSinceMs = undefined;
            seat.heardByMs = undefined;
          };
          const count = (): number => {
            const now = time.monotonicMs();
            let sum = 0;
            for (const seat of seats) {
              forget(seat, now);
              for (const [lease, atMs] of seat.live) {
                if (atMs + leaseMs <= now) seat.live.delete(lease);
              }
              sum += seat.live.size;
            }
            return sum;
          };
          const fallSilent = (seat: Seat): void => {
            seat.silentSinceMs ??= time.monotonicMs();
            seat.heardByMs = undefined;
          };
          const taken = (seat: Seat, reply: AdmissionReply | "unavailable"): void => {
            if (reply === "unavailable" || !reply.admitted) return;
            admittedInAll += 1;
            seat.live.set(reply.lease, time.monotonicMs());
            expect(count()).toBeLessThanOrEqual(limit);
          };
          const failures: unknown[] = [];
          const hear = async (seat: Seat, replying: Promise<AdmissionReply | "unavailable">) => {
            try {
              const reply = await replying;
              // Of one that crashed meanwhile nobody hears.
              if (seats.includes(seat)) taken(seat, reply);
            } catch (error) {
              failures.push(error);
            }
          };
          const isFrozen = new Set<Seat>();

          for (const { do: what, who, count: many } of steps) {
            const seat = seats[who];
            if (what === "pass") await fleet.pass(many);
            if (seat === undefined) continue;
            const { member } = seat;
            if (what === "crash") {
              member.crash();
              gone.push(member);
              seats[who] = newSeat();
            } else if (what === "go on") {
              isFrozen.delete(seat);
              member.open();
              member.thaw();
              if (seat.silentSinceMs !== undefined) seat.heardByMs = time.monotonicMs() + hopMs;
            } else if (isFrozen.has(seat)) {
              continue;
            } else if (what === "freeze") {
              isFrozen.add(seat);
              member.open();
              member.freeze();
              fallSilent(seat);
            } else if (what === "commands") {
              member.hold("commands");
              fallSilent(seat);
            } else if (what === "answers") {
              if (seat.silentSinceMs === undefined) member.hold("answers");
            } else if (what === "release") {
              for (const lease of [...seat.live.keys()].slice(0, many)) {
                lease.release();
                seat.live.delete(lease);
              }
            } else if (what === "acquire") {
              for (let n = 0; n < many; n += 1) {
                const reply = member.store.acquire("anna");
                if (!(reply instanceof Promise)) {
                  atOnce += 1;
                  taken(seat, reply);
                  continue;
                }
                void hear(seat, reply);
              }
            }
            await fleet.settle();
            expect(failures).toEqual([]);
            expect(count()).toBeLessThanOrEqual(limit);
          }
          for (const member of [...seats.map((seat) => seat.member), ...gone]) member.store.close();
        },
      ),
      { numRuns: 300 },
    );
    // It looked at what it is about.
    expect(admittedInAll).toBeGreaterThan(800);
    expect(atOnce).toBeGreaterThan(400);
  }, 120_000);
});
