import { once } from "node:events";
import { admissionDimensions, gateModes, type AdmissionAsk, type GateMode } from "@sluice/contract";
import { connectRedis } from "@sluice/redis";
import { lacksRedisServer, privateRedis, type PrivateRedis } from "@sluice/testkit";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  acquire,
  crash,
  end,
  flushData,
  flushScripts,
  further,
  heartbeats,
  midnight,
  release,
  start,
  tick,
  type Command,
} from "./admission-commands.ts";
import { faults, planted } from "./admission-planted.ts";
import type { ModelLimits } from "./admission-model-limits.ts";
import { asTheyAre, createWorld, leaseMs, type Opener, type World } from "./admission-world.ts";

const reservationMs = 45_000;
/** Longer than any trace, for memory keeps what it set aside until somebody ends it. */
const endlessMs = 86_400_000;

const mode = fc.constantFrom<GateMode>("enforce", "enforce", "enforce", "shadow", "off");
const caps = fc.record({
  calls: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 3 }),
  tokens: fc.integer({ min: 1, max: 4000 }),
  costNanoUsd: fc.option(fc.integer({ min: 1, max: 60_000 }), { nil: undefined, freq: 2 }),
  mode,
});
const limits: fc.Arbitrary<ModelLimits> = fc.record({
  userInFlight: fc.record({ limit: fc.integer({ min: 1, max: 3 }), mode }),
  globalInFlight: fc.record({ limit: fc.integer({ min: 1, max: 5 }), mode }),
  // So that what Redis keeps of a rate outlasts, by its own clock, any trace.
  messageRate: fc
    .constantFrom({ count: 60, burst: 12 }, { count: 12, burst: 4 }, { count: 4, burst: 2 })
    .chain((rate) => mode.map((its) => ({ ...rate, perMs: 60_000, mode: its }))),
  userBudget: caps,
  globalBudget: caps,
});
const budget = fc.record({
  inputTokens: fc.nat(100),
  outputTokens: fc.nat(200),
  minOutputTokens: fc.nat(60),
  price: fc.option(fc.constant({ inputNanoUsdPerToken: 5, outputNanoUsdPerToken: 20 }), {
    nil: undefined,
    freq: 9,
  }),
});
const ask: fc.Arbitrary<AdmissionAsk> = fc.record({
  budget: fc.option(budget, { nil: undefined, freq: 4 }),
  modes: fc.option(
    fc.record(
      Object.fromEntries(admissionDimensions.map((name) => [name, fc.constantFrom(...gateModes)])),
      { requiredKeys: [] },
    ),
    { nil: undefined, freq: 2 },
  ),
});
const isTwice = fc.boolean();
const which = fc.nat(7);

const requests = [
  fc
    .record({
      process: fc.nat(5),
      subjects: fc.array(fc.constantFrom("ann", "ben"), { minLength: 1, maxLength: 3 }),
      ask,
      isTwice,
    })
    .map(acquire),
];
const endings = [
  fc.tuple(which, fc.integer({ min: 1, max: 2 }), isTwice).map((args) => release(...args)),
  fc
    .record({
      which,
      how: fc.constantFrom("settle", "settle", "whole", "void"),
      share: fc.nat(100),
      isTwice,
    })
    .map(end),
  fc.tuple(which, budget, isTwice).map((args) => further(...args)),
];
const times = [
  fc.integer({ min: 1, max: 2000 }).map(tick),
  fc
    .tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 4 }))
    .map((args) => heartbeats(...args)),
  fc.constantFrom(leaseMs / 2, leaseMs - 1, leaseMs, leaseMs + 1).map(tick),
  fc.constant(0).map(midnight),
];
const troubles = [
  fc.constantFrom(reservationMs - 1, reservationMs).map(tick),
  fc.constant(reservationMs).map(tick),
  fc.nat(5).map(crash),
  limits.map(start),
  // Also with as much time as it takes until all is told anew.
  fc.constantFrom(0, (leaseMs / 3) * 1.1).map(flushData),
  fc.constant(0).map(flushScripts),
];
/** Requests come most often: without them there is nothing to see. */
const often = (all: readonly fc.Arbitrary<Command>[], more: readonly fc.Arbitrary<Command>[]) => [
  ...Array.from({ length: all.length + more.length + endings.length }, () => requests).flat(),
  ...endings,
  ...all,
  ...more,
];
const shared = fc.commands(often(times, troubles), { maxCommands: 40, size: "max" });
const alone = fc.commands(often(times, []), { maxCommands: 40, size: "max" });

const play = async (world: World, commands: Iterable<Command>): Promise<void> => {
  try {
    await fc.asyncModelRun(() => ({ model: world.model, real: world }), commands);
  } finally {
    world.end();
  }
};

type Playing = fc.Parameters<[ModelLimits, ModelLimits | null, Iterable<Command>]>;

describe.skipIf(lacksRedisServer())("admission that processes share", { timeout: 60_000 }, () => {
  let redis: PrivateRedis;
  let client: ReturnType<typeof connectRedis>;
  beforeAll(async () => {
    redis = await privateRedis();
    client = connectRedis({ url: redis.url, random: () => 0.5 });
    await once(client, "ready");
  });
  afterAll(async () => {
    client.disconnect();
    await redis.remove();
  });

  const holds = (opener: Opener, settings: Playing): Promise<void> =>
    fc.assert(
      fc.asyncProperty(limits, fc.option(limits), shared, (given, other, commands) =>
        play(
          createWorld({
            client,
            opener,
            limits: [given, other ?? given],
            reservationMs,
            hasTwin: false,
          }),
          commands,
        ),
      ),
      settings,
    );

  it("I1 I3 I14 is what the model says on any trace, whoever crashes and whatever is lost", async () => {
    await expect(holds(asTheyAre, { numRuns: 60 })).resolves.toBeUndefined();
  });

  it("answers as memory does, on any trace of one process", () =>
    fc.assert(
      fc.asyncProperty(limits, alone, (given, commands) =>
        play(
          createWorld({
            client,
            opener: asTheyAre,
            limits: [given],
            reservationMs: endlessMs,
            hasTwin: true,
          }),
          commands,
        ),
      ),
      { numRuns: 40 },
    ));

  it("is so also in the hands of what plants faults, with none planted", async () => {
    await expect(holds(planted(), { seed: 1, numRuns: 15 })).resolves.toBeUndefined();
  });

  it.each(faults)("would not be what the model says with the fault: %s", async (fault) => {
    await expect(
      holds(planted(fault), { seed: 1, numRuns: 300, endOnFailure: true }),
    ).rejects.toThrow(/Property failed/);
  });
});
