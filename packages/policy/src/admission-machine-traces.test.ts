import type { AdmissionAsk, GateMode, Usage } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createAdmissionMachine,
  type AdmissionMachine,
  type MachineLease,
  type MachineLimits,
  type MachineRequest,
} from "./admission-machine.ts";
import { machineReservation, reserveOnMachine } from "./machine-reservation.ts";

const price = { inputNanoUsdPerToken: 3, outputNanoUsdPerToken: 7 };
const subjects = ["ann", "ben", "cat"] as const;
const days = ["2026-11-27", "2026-11-28", "2026-11-29"] as const;
const leaseMs = 1000;

const limitOf = (min: number, max: number) =>
  fc.option(fc.integer({ min, max }), { nil: undefined });
const anyBudget = fc.record({
  calls: limitOf(1, 8),
  tokens: limitOf(1, 2000),
  costNanoUsd: limitOf(1, 9000),
});
const anyLimits = fc.record({
  user: limitOf(1, 3),
  global: limitOf(1, 5),
  burst: limitOf(1, 6),
  userBudget: fc.option(anyBudget, { nil: undefined }),
  globalBudget: fc.option(anyBudget, { nil: undefined }),
});
type AnyLimits = typeof anyLimits extends fc.Arbitrary<infer T> ? T : never;

const anyAsk = fc.record({
  inputTokens: fc.nat(200),
  outputTokens: fc.nat(500),
  minOutputTokens: fc.nat(80),
});
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("acquire" as const),
      subject: fc.constantFrom(...subjects),
      ask: anyAsk,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("further" as const), which: fc.nat(), ask: anyAsk }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("settle" as const, "lose" as const, "void" as const),
      which: fc.nat(),
      share: fc.nat(100),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("release" as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.integer({ min: 1, max: 700 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("day" as const), day: fc.constantFrom(...days) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("limits" as const), to: anyLimits }) },
);

function limitsOf(given: AnyLimits, mode: GateMode = "enforce"): MachineLimits {
  return {
    userInFlight: given.user === undefined ? undefined : { limit: given.user, mode },
    globalInFlight: given.global === undefined ? undefined : { limit: given.global, mode },
    messageRate:
      given.burst === undefined ? undefined : { count: 1, perMs: 400, burst: given.burst, mode },
    toolRate: undefined,
    userBudget: given.userBudget && { ...given.userBudget, mode },
    globalBudget: given.globalBudget && { ...given.globalBudget, mode },
  };
}

/** Wide enough to refuse nothing, so that what is left tells exactly what is used. */
const wide = 1e12;

function useOf(machine: AdmissionMachine, subject: string, day: string) {
  const seen = (unit: "calls" | "tokens" | "costNanoUsd") => {
    const caps = { [unit]: wide, mode: "enforce" } as const;
    const limits: MachineLimits = {
      userInFlight: { limit: wide, mode: "enforce" },
      globalInFlight: { limit: wide, mode: "enforce" },
      messageRate: undefined,
      toolRate: undefined,
      userBudget: caps,
      globalBudget: caps,
    };
    const reply = machine.acquire({
      subject,
      ask: undefined,
      nowMs: 0,
      limits,
      day: { name: day, endsMs: 1 },
      wallMs: 0,
    });
    if (reply === "full" || !reply.admitted) throw new Error("not admitted");
    const { states, lease } = reply;
    machine.release(lease);
    return states.map(({ limit, remaining }) => limit - remaining);
  };
  const [user, global, userCalls, globalCalls] = seen("calls");
  const [, , userTokens, globalTokens] = seen("tokens");
  const [, , userCost, globalCost] = seen("costNanoUsd");
  return {
    // The looker itself is in flight while it looks.
    inFlight: { user: (user ?? 0) - 1, global: (global ?? 0) - 1 },
    user: { calls: userCalls ?? 0, tokens: userTokens ?? 0, costNanoUsd: userCost ?? 0 },
    global: { calls: globalCalls ?? 0, tokens: globalTokens ?? 0, costNanoUsd: globalCost ?? 0 },
  };
}

const allOf = (machine: AdmissionMachine, day: string) =>
  subjects.map((subject) => useOf(machine, subject, day));

function expectWithin(
  use: { readonly calls: number; readonly tokens: number; readonly costNanoUsd: number },
  caps: MachineLimits["userBudget"],
): void {
  for (const unit of ["calls", "tokens", "costNanoUsd"] as const) {
    expect(use[unit]).toBeLessThanOrEqual(caps?.[unit] ?? Number.POSITIVE_INFINITY);
  }
}

type Use = ReturnType<typeof useOf>["global"];

function expectSame(now: unknown, before: unknown): void {
  expect(now).toEqual(before);
}

function expectNoMore(now: Use, before: Use): void {
  for (const unit of ["calls", "tokens", "costNanoUsd"] as const) {
    expect(now[unit]).toBeLessThanOrEqual(before[unit]);
    expect(now[unit]).toBeGreaterThanOrEqual(0);
  }
}

describe("I3 a machine's counts, over any trace", () => {
  const trace = fc.array(step, { maxLength: 50, size: "max" });

  it("grant nothing beyond a cap or a limit, and take nothing for what they refuse", () => {
    fc.assert(
      fc.property(anyLimits, trace, (first, steps) => {
        const machine = createAdmissionMachine(leaseMs, 1000);
        let limits = limitsOf(first);
        let day: string = days[1];
        let nowMs = 0;
        const leases: MachineLease[] = [];
        const open: {
          readonly subject: string;
          readonly reservation: ReturnType<typeof machineReservation>;
        }[] = [];
        const request = (subject: string, ask: AdmissionAsk | undefined): MachineRequest => ({
          subject,
          ask,
          nowMs,
          limits,
          day: { name: day, endsMs: 1e6 },
          wallMs: 0,
        });
        const expectGranted = (subject: string, hasLease: boolean): void => {
          const use = useOf(machine, subject, day);
          expectWithin(use.user, limits.userBudget);
          expectWithin(use.global, limits.globalBudget);
          if (!hasLease) return;
          const { userInFlight, globalInFlight } = limits;
          expect(use.inFlight.user).toBeLessThanOrEqual(userInFlight?.limit ?? wide);
          expect(use.inFlight.global).toBeLessThanOrEqual(globalInFlight?.limit ?? wide);
        };
        for (const one of steps) {
          if (one.kind === "wait") nowMs += one.ms;
          else if (one.kind === "day") ({ day } = one);
          else if (one.kind === "limits") limits = limitsOf(one.to);
          else if (one.kind === "acquire") {
            const budget = { ...one.ask, price };
            const { subject } = one;
            // Whatever has expired is gone before the counts are compared.
            machine.acquire({ ...request(subject, undefined), limits: never });
            const before = allOf(machine, day);
            const reply = machine.acquire(request(subject, { budget }));
            if (reply === "full") throw new Error("full");
            if (!reply.admitted) {
              expectSame(allOf(machine, day), before);
              continue;
            }
            leases.push(reply.lease);
            const { reservation } = reply;
            if (reservation !== undefined) {
              const again = () => request(subject, { budget });
              open.push({
                subject,
                reservation: machineReservation(machine, again, budget, reservation),
              });
            }
            expectGranted(subject, true);
          } else if (one.kind === "release") {
            const lease = leases[one.which % Math.max(1, leases.length)];
            if (lease !== undefined) machine.release(lease);
          } else {
            // One that has ended stays in the list, so that it ends again.
            const held = open[one.which % Math.max(1, open.length)];
            if (held === undefined) continue;
            const { subject, reservation } = held;
            if (one.kind === "further") {
              const budget = { ...one.ask, price };
              const before = allOf(machine, day);
              const again = () => request(subject, { budget });
              const reply = reserveOnMachine(machine, again, budget);
              if (reply === "unavailable") throw new Error("full");
              if (!reply.granted) {
                expectSame(allOf(machine, day), before);
                continue;
              }
              open.push({ subject, reservation: reply.reservation });
              expectGranted(subject, false);
              continue;
            }
            const before = useOf(machine, subject, day).global;
            const real: Usage = {
              inputTokens: Math.floor((reservation.inputTokens * one.share) / 100),
              outputTokens: Math.floor((reservation.outputTokens * one.share) / 100),
            };
            if (one.kind === "void") reservation.void();
            else reservation.settle(one.kind === "lose" ? undefined : real);
            const { global } = useOf(machine, subject, day);
            expectNoMore(global, before);
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it("I14 take no token of the rate for what another dimension refuses", () => {
    const refusing = fc.constantFrom<Partial<AnyLimits>>(
      { user: 1 },
      { global: 1 },
      { userBudget: { calls: 1, tokens: undefined, costNanoUsd: undefined } },
      { globalBudget: { calls: undefined, tokens: 20, costNanoUsd: undefined } },
    );
    fc.assert(
      fc.property(refusing, fc.integer({ min: 2, max: 6 }), fc.nat(20), (by, burst, refusals) => {
        const none = {
          user: undefined,
          global: undefined,
          userBudget: undefined,
          globalBudget: undefined,
        };
        const limits = limitsOf({ ...none, ...by, burst });
        const machine = createAdmissionMachine(leaseMs, 100);
        const ask = {
          budget: { inputTokens: 10, outputTokens: 10, minOutputTokens: 10, price },
        };
        const acquire = () =>
          machine.acquire({
            subject: "ann",
            ask,
            nowMs: 0,
            limits,
            day: { name: days[0], endsMs: 1e6 },
            wallMs: 0,
          });
        expect(acquire()).toMatchObject({ admitted: true });
        for (let i = 0; i < refusals; i += 1) expect(acquire()).toMatchObject({ admitted: false });
        const last = acquire();
        const state =
          last === "full"
            ? undefined
            : last.states.find(({ dimension }) => dimension === "message_rate");
        expect(state?.remaining).toBe(burst - 1);
      }),
      { numRuns: 40 },
    );
  });
});

/** Refuses everybody and takes nothing. */
const never: MachineLimits = {
  userInFlight: undefined,
  globalInFlight: { limit: 0, mode: "enforce" },
  messageRate: undefined,
  toolRate: undefined,
  userBudget: undefined,
  globalBudget: undefined,
};
