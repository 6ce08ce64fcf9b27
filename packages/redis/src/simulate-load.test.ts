import { randomUUID } from "node:crypto";
import type { Reason } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission } from "./redis-admission.ts";
import { connectRedis, type RedisClient } from "./redis-client.ts";

const real = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
real.setMaxListeners(0);
afterAll(() => real.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
real.once("ready", becomeReady);

let trips = 0;
const client: RedisClient = {
  evalsha(...args) {
    trips += 1;
    return real.evalsha(...args);
  },
  eval: (...args) => real.eval(...args),
  script: (what, text) => real.script(what, text),
  get status() {
    return real.status;
  },
  on: (event, listener) => real.on(event, listener),
  off: (event, listener) => real.off(event, listener),
  disconnect: () => real.disconnect(),
};

const processes = 20;
const perProcessAndMs = 5;

interface Load {
  readonly limits: Omit<Partial<RedisAdmissionOptions>, "globalInFlight"> & {
    readonly globalInFlight: { readonly limit: number };
  };
  readonly durationMs: number;
  readonly streamMs: number;
  readonly subjectOf: (process: number, turn: number) => string;
  readonly each?: (admitted: number, ms: number) => void;
}

/** A hundred thousand requests a second, spread evenly; none is ever above a limit. */
async function simulate({ limits, durationMs, streamMs, subjectOf, each }: Load) {
  await ready;
  const time = new FakeClock();
  const namespace = `t${randomUUID()}`;
  const stores = Array.from({ length: processes }, () =>
    redisAdmission(
      {
        client,
        clock: time,
        random: () => 0.5,
        instanceId: randomUUID(),
        namespace,
        secret: "a secret of the tests",
        deadlineMs: 5000,
        globalBlocks: { processes },
        ...limits,
      },
      () => 1e12 + time.monotonicMs(),
    ),
  );
  trips = 0;
  const ends: (() => void)[][] = Array.from({ length: durationMs + streamMs }, () => []);
  const ofSubject = new Map<string, number>();
  let [asked, admitted, inFlight, atOnce] = [0, 0, 0, 0];
  const refused = new Map<Reason, number>();
  const take = (subject: string, by: number): void => {
    inFlight += by;
    ofSubject.set(subject, (ofSubject.get(subject) ?? 0) + by);
  };
  for (let ms = 0; ms < durationMs; ms += 1) {
    for (const end of ends[ms] ?? []) end();
    const subjects = stores.flatMap((_, process) =>
      Array.from({ length: perProcessAndMs }, (__, n) =>
        subjectOf(process, ms * perProcessAndMs + n),
      ),
    );
    const replies = subjects.map((subject, index) =>
      stores[Math.floor(index / perProcessAndMs)]?.acquire(subject),
    );
    asked += replies.length;
    for (const [index, replying] of replies.entries()) {
      if (!(replying instanceof Promise)) atOnce += 1;
      const reply = await replying;
      if (typeof reply !== "object") throw new Error("Redis did not answer");
      if (!reply.admitted) {
        refused.set(reply.reason, (refused.get(reply.reason) ?? 0) + 1);
        continue;
      }
      admitted += 1;
      const subject = subjects[index] ?? "";
      take(subject, 1);
      expect(ofSubject.get(subject)).toBeLessThanOrEqual(limits.userInFlight?.limit ?? Infinity);
      ends[ms + streamMs]?.push(() => {
        take(subject, -1);
        reply.lease.release();
      });
    }
    expect(inFlight).toBeLessThanOrEqual(limits.globalInFlight.limit);
    each?.(admitted, ms);
    time.advance(1);
  }
  for (const store of stores) store.close();
  expect(asked).toBe((100_000 * durationMs) / 1000);
  return { asked, admitted, atOnce, refused, trips };
}

describe("100,000 decisions a second of twenty processes, simulated", () => {
  it.each([
    { title: "with room for all", limit: 12_000, perSecond: 110_000, least: 1, mostTrips: 0.06 },
    { title: "with too few places", limit: 8000, perSecond: 110_000, least: 0.75, mostTrips: 0.14 },
    {
      title: "with too low a rate",
      limit: 12_000,
      perSecond: 50_000,
      least: 0.85,
      mostTrips: 0.12,
    },
  ])("$title: limits hold, trips are few", async ({ limit, perSecond, least, mostTrips }) => {
    const burst = 20_000;
    const seen = await simulate({
      limits: {
        globalInFlight: { limit },
        messageRate: { count: perSecond, perMs: 1000, burst },
      },
      durationMs: 500,
      streamMs: 100,
      subjectOf: () => "anna",
      each: (admitted, ms) => expect(admitted).toBeLessThanOrEqual(burst + (ms * perSecond) / 1000),
    });
    expect(seen.admitted / seen.asked).toBeGreaterThanOrEqual(least);
    // Where nothing is left, who is refused pays for a trip, together with all who came in the same turn.
    expect(seen.trips / seen.asked).toBeLessThanOrEqual(mostTrips);
  });

  it("with a limit of each user: exact, and one trip for all who come in one turn", async () => {
    const subjects = 10_000;
    const seen = await simulate({
      limits: {
        userInFlight: { limit: 1 },
        globalInFlight: { limit: 24_000 },
        messageRate: { count: 110_000, perMs: 1000, burst: 20_000 },
      },
      durationMs: 200,
      streamMs: 150,
      // Whoever comes to a process: each user every hundred milliseconds.
      subjectOf: (process, turn) => `user-${(turn * processes + process) % subjects}`,
    });
    expect([...seen.refused.keys()]).toEqual(["USER_IN_FLIGHT"]);
    // Whose stream goes on when they come again.
    expect(seen.admitted).toBe(subjects);
    // Releases and blocks take some of their own.
    expect(seen.trips / seen.asked).toBeLessThanOrEqual(1 / perProcessAndMs + 0.12);
  }, 60_000);

  it("with users who come to one process: exact, and nearly all at once", async () => {
    const perProcess = 500;
    const durationMs = 1000;
    const seen = await simulate({
      limits: {
        userInFlight: { limit: 2 },
        globalInFlight: { limit: 26_000 },
        messageRate: { count: 110_000, perMs: 1000, burst: 26_000 },
        subjectLeases: {},
      },
      durationMs,
      streamMs: 250,
      subjectOf: (process, turn) => `user-${process}-${turn % perProcess}`,
    });
    expect([...seen.refused.keys()]).toEqual(["USER_IN_FLIGHT"]);
    // Each of them comes every hundred milliseconds: two of three find a place.
    expect(seen.admitted / seen.asked).toBeGreaterThan(0.65);
    // The first request of each claims, and some wait for a block.
    expect(seen.atOnce / seen.asked).toBeGreaterThan(0.8);
    expect(seen.trips / seen.asked).toBeLessThanOrEqual(0.08);
  }, 60_000);
});
