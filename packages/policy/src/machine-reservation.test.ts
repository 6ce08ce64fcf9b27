import { Reason, type BudgetAsk } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { createAdmissionMachine, type MachineLimits } from "./admission-machine.ts";
import { reserveOnMachine } from "./machine-reservation.ts";

const price = { inputNanoUsdPerToken: 2, outputNanoUsdPerToken: 5 };
const ask: BudgetAsk = { inputTokens: 10, outputTokens: 40, minOutputTokens: 5, price };

function open(caps: { readonly calls?: number; readonly tokens?: number }) {
  const machine = createAdmissionMachine(1000, 1);
  const limits: MachineLimits = {
    userInFlight: undefined,
    globalInFlight: undefined,
    messageRate: undefined,
    toolRate: undefined,
    userBudget: undefined,
    globalBudget: { ...caps, mode: "enforce" },
  };
  let day = { name: "2026-11-28", endsMs: 1000 };
  const request = () => ({ subject: "ann", ask: undefined, limits, day, wallMs: 0 });
  const reserve = (budget: BudgetAsk = ask) => {
    const reply = reserveOnMachine(machine, request, budget);
    if (reply === "unavailable" || !reply.granted) throw new Error("not granted");
    return reply.reservation;
  };
  return {
    reserve,
    further: () => reserveOnMachine(machine, request, ask),
    nextDay: () => (day = { name: "2026-11-29", endsMs: 2000 }),
    remaining: () => {
      const reply = machine.acquire({ ...request(), nowMs: 0 });
      if (reply === "full" || !reply.admitted) throw new Error("not admitted");
      machine.release(reply.lease);
      return reply.states[0]?.remaining;
    },
  };
}

describe("a machine's reservation", () => {
  it("tells the prompt, the granted output and what both cost", () => {
    const { reserve } = open({ tokens: 30 });
    expect(reserve()).toMatchObject({
      inputTokens: 10,
      outputTokens: 20,
      costNanoUsd: 10 * 2 + 20 * 5,
    });
  });

  it("costs nothing where no price is known", () => {
    expect(open({ tokens: 100 }).reserve({ ...ask, price: undefined }).costNanoUsd).toBe(0);
  });

  it("is replaced by real usage, and stays whole without any", () => {
    const { reserve, remaining } = open({ tokens: 1000 });
    reserve().settle({ inputTokens: 3, outputTokens: 4 });
    expect(remaining()).toBe(1000 - 7);
    reserve().settle(undefined);
    expect(remaining()).toBe(1000 - 7 - 50);
  });

  it("leaves no trace when it is given back, the call included", () => {
    const { reserve, remaining } = open({ calls: 1 });
    reserve().void();
    expect(remaining()).toBe(1);
  });

  it("counts its first ending only", () => {
    const { reserve, remaining } = open({ tokens: 1000 });
    const settled = reserve();
    settled.settle({ inputTokens: 1, outputTokens: 1 });
    settled.settle(undefined);
    settled.void();
    const voided = reserve();
    voided.void();
    voided.void();
    voided.settle({ inputTokens: 500, outputTokens: 500 });
    expect(remaining()).toBe(998);
  });

  it("reserves further calls on the same counts, after its own end too, and is refused by them", () => {
    const { reserve } = open({ calls: 2 });
    const first = reserve();
    first.settle(undefined);
    expect(first.further(ask)).toMatchObject({ granted: true });
    expect(first.further(ask)).toEqual({ granted: false, reason: Reason.BUDGET_CALLS });
  });

  it("reserves further calls on the day that it is then", () => {
    const { reserve, nextDay } = open({ calls: 1 });
    const first = reserve();
    expect(first.further(ask)).toMatchObject({ granted: false });
    nextDay();
    expect(first.further(ask)).toMatchObject({ granted: true });
  });
});
