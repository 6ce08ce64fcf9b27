import { Reason, type AdmissionState, type BudgetAsk } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import {
  createAdmissionMachine,
  type AdmissionMachine,
  type MachineLimits,
  type MachineReply,
  type MachineRequest,
} from "./admission-machine.ts";

const leaseMs = 1000;
const noLimits: MachineLimits = {
  userInFlight: undefined,
  globalInFlight: undefined,
  messageRate: undefined,
  toolRate: undefined,
  userBudget: undefined,
  globalBudget: undefined,
};
const monday = { name: "2026-11-23", endsMs: 1_000_000 };
const tuesday = { name: "2026-11-24", endsMs: 2_000_000 };
const wednesday = { name: "2026-11-25", endsMs: 3_000_000 };
const budget: BudgetAsk = {
  inputTokens: 10,
  outputTokens: 90,
  minOutputTokens: 20,
  price: undefined,
};

function requestOf(
  limits: Partial<MachineLimits>,
  more: Partial<Omit<MachineRequest, "limits">> = {},
): MachineRequest {
  return {
    subject: "ann",
    ask: { budget },
    nowMs: 0,
    day: monday,
    wallMs: monday.endsMs - 400,
    ...more,
    limits: { ...noLimits, ...limits },
  };
}

function admittedBy(machine: AdmissionMachine, request: MachineRequest) {
  const reply = machine.acquire(request);
  if (reply === "full" || !reply.admitted) throw new Error("not admitted");
  const { reservation } = reply;
  if (reservation === undefined) throw new Error("nothing was set aside");
  return { ...reply, reservation };
}

const stateOf = (reply: MachineReply | "full", dimension: AdmissionState["dimension"]) =>
  reply === "full" ? undefined : reply.states.find((state) => state.dimension === dimension);

const calls = (max: number) => ({ globalBudget: { calls: max, mode: "enforce" } }) as const;
const tokens = (max: number) => ({ globalBudget: { tokens: max, mode: "enforce" } }) as const;

describe("a machine's budgets", () => {
  it("are each subject's own, and those of all together", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const limits = {
      userBudget: { calls: 1, mode: "enforce" },
      globalBudget: { calls: 2, mode: "enforce" },
    } as const;
    admittedBy(machine, requestOf(limits));
    expect(machine.acquire(requestOf(limits))).toMatchObject({ violated: ["user_budget"] });
    admittedBy(machine, requestOf(limits, { subject: "ben" }));
    expect(machine.acquire(requestOf(limits, { subject: "cat" }))).toMatchObject({
      reason: Reason.BUDGET_CALLS,
      violated: ["global_budget"],
    });
  });

  it("lower the output to the least that any of them has left", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const limits = {
      userBudget: { tokens: 60, mode: "enforce" },
      globalBudget: { tokens: 80, mode: "enforce" },
    } as const;
    const { reservation } = admittedBy(machine, requestOf(limits));
    expect(reservation.outputTokens).toBe(50);
    // Both are charged by what was granted, not by what was asked for.
    const other = admittedBy(
      machine,
      requestOf({ globalBudget: { tokens: 160, mode: "enforce" } }),
    );
    expect(other.reservation.outputTokens).toBe(90);
  });

  it("start anew with the day", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    admittedBy(machine, requestOf(calls(1)));
    expect(machine.acquire(requestOf(calls(1)))).toMatchObject({ admitted: false });
    admittedBy(machine, requestOf(calls(1), { day: tuesday }));
  });

  it("find what the day before has used when the clock steps back over midnight, and do not spend a day twice", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const limits = { ...calls(1), userBudget: { calls: 1, mode: "enforce" } } as const;
    for (const day of [monday, tuesday]) {
      admittedBy(machine, requestOf(limits, { day }));
    }
    for (const day of [monday, tuesday, monday, tuesday]) {
      expect(machine.acquire(requestOf(limits, { day }))).toMatchObject({
        violated: ["user_budget", "global_budget"],
      });
    }
  });

  it("keep two days: one that is older than both is counted to the older", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    admittedBy(machine, requestOf(calls(1), { day: tuesday }));
    admittedBy(machine, requestOf(calls(1), { day: wednesday }));
    expect(machine.acquire(requestOf(calls(1), { day: monday }))).toMatchObject({
      admitted: false,
    });
  });

  it("settle on the day on which they were reserved", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const { reservation } = admittedBy(machine, requestOf(tokens(200)));
    admittedBy(machine, requestOf(tokens(200), { day: tuesday }));
    machine.settle(reservation, { inputTokens: 1, outputTokens: 2 });
    const left = (day: typeof monday) =>
      stateOf(machine.acquire(requestOf(tokens(200), { day, ask: undefined })), "global_budget");
    expect(left(tuesday)?.remaining).toBe(100);
    expect(left(monday)?.remaining).toBe(197);
  });

  it("count what was granted elsewhere in each budget that there is, and refuse nothing", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const limits = {
      userBudget: { tokens: 150, mode: "enforce" },
      globalBudget: { calls: 2, mode: "shadow" },
    } as const;
    const { limits: all, ...request } = requestOf(limits);
    for (let i = 0; i < 5; i += 1) {
      const charged = machine.charge({ ...request, limits: all }, budget);
      expect(charged).toMatchObject({ outputTokens: 90, parts: { length: 2 } });
    }
    const reply = machine.acquire(requestOf(limits));
    expect(reply).toMatchObject({ reason: Reason.BUDGET_TOKENS });
    expect(reply).toMatchObject({ wouldRefuse: [Reason.BUDGET_CALLS] });
    expect(machine.charge({ ...request, limits: noLimits }, budget)).toMatchObject({ parts: [] });
  });

  it("give back and settle what was granted elsewhere as what they granted themselves", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const charged = ["ann", "ben"].map((subject) =>
      machine.charge(requestOf(tokens(1000), { subject }), budget),
    );
    const [one, other] = charged;
    if (one === undefined || one === "full" || other === undefined || other === "full") {
      throw new Error("not counted");
    }
    machine.void(one);
    machine.settle(other, { inputTokens: 4, outputTokens: 3 });
    const reply = machine.acquire(requestOf(tokens(1000), { ask: undefined }));
    expect(stateOf(reply, "global_budget")?.remaining).toBe(993);
  });

  it("I12 say that they can't tell when one more subject can't be counted, and remember nobody who was refused", () => {
    const machine = createAdmissionMachine(leaseMs, 1);
    const one = { userBudget: { calls: 1, mode: "enforce" } } as const;
    const none = { userBudget: { tokens: 5, mode: "enforce" } } as const;
    for (let i = 0; i < 50; i += 1) {
      expect(machine.acquire(requestOf(none, { subject: `stranger-${i}` }))).toMatchObject({
        admitted: false,
      });
    }
    for (let i = 0; i < 10; i += 1) {
      machine.release(admittedBy(machine, requestOf(one, { subject: `s${i}` })).lease);
    }
    const more = requestOf(one, { subject: "more" });
    expect(machine.acquire(more)).toBe("full");
    expect(machine.further(more, budget)).toBe("full");
    expect(machine.charge(more, budget)).toBe("full");
    // Whom it knows it still counts.
    expect(machine.charge(requestOf(one, { subject: "s3" }), budget)).not.toBe("full");
  });

  it("wait for the longest of what refuses: the day's end, not a place", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const limits = { ...calls(1), userInFlight: { limit: 1, mode: "enforce" } } as const;
    admittedBy(machine, requestOf(limits));
    const wallMs = monday.endsMs - 5000;
    expect(machine.acquire(requestOf(limits, { wallMs }))).toMatchObject({
      reason: Reason.BUDGET_CALLS,
      retryAfterMs: 5000,
      violated: ["user_in_flight", "global_budget"],
    });
    expect(machine.acquire(requestOf(limits, { wallMs: monday.endsMs - 1 }))).toMatchObject({
      reason: Reason.USER_IN_FLIGHT,
    });
  });
});

describe("a machine's states", () => {
  const limits = {
    userInFlight: { limit: 3, mode: "enforce" },
    globalInFlight: { limit: 5, mode: "shadow" },
    messageRate: { count: 1, perMs: 100, burst: 4, mode: "enforce" },
    userBudget: { calls: 9, mode: "enforce" },
    globalBudget: { tokens: 1000, mode: "off" },
  } as const;

  it("tell of each dimension what is left after the answer, its mode, its unit, and when all is there again", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    expect(admittedBy(machine, requestOf(limits)).states).toEqual([
      { dimension: "user_in_flight", mode: "enforce", limit: 3, remaining: 2, resetMs: 0 },
      { dimension: "global_in_flight", mode: "shadow", limit: 5, remaining: 4, resetMs: 0 },
      { dimension: "message_rate", mode: "enforce", limit: 4, remaining: 3, resetMs: 100 },
      {
        dimension: "user_budget",
        mode: "enforce",
        unit: "calls",
        limit: 9,
        remaining: 8,
        resetMs: 400,
      },
      {
        dimension: "global_budget",
        mode: "off",
        unit: "tokens",
        limit: 1000,
        remaining: 900,
        resetMs: 400,
      },
    ]);
  });

  it("are those of the answer, however late they are read", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const early = createAdmissionMachine(leaseMs, 10);
    const first = machine.acquire(requestOf(limits));
    const read = early.acquire(requestOf(limits));
    const expected = read === "full" ? undefined : [...read.states];
    const second = admittedBy(machine, requestOf(limits));
    machine.settle(second.reservation, { inputTokens: 1, outputTokens: 1 });
    machine.acquire(requestOf(limits, { day: tuesday, nowMs: 50 }));
    expect(first === "full" ? undefined : first.states).toEqual(expected);
  });

  it("of a refusal are those that it was refused by", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const one = { userInFlight: { limit: 1, mode: "enforce" } } as const;
    const { lease } = { ...machineAdmits(machine, one) };
    const refusal = machine.acquire(requestOf(one));
    machine.release(lease);
    expect(refusal).toMatchObject({ admitted: false });
    expect(stateOf(refusal, "user_in_flight")?.remaining).toBe(0);
  });

  it("of a rate that was lowered stay within it", () => {
    const machine = createAdmissionMachine(leaseMs, 100);
    const wide = { messageRate: { count: 1, perMs: 1000, burst: 50, mode: "enforce" } } as const;
    for (let i = 0; i < 50; i += 1) machineAdmits(machine, wide);
    const narrow = { messageRate: { count: 1, perMs: 1000, burst: 2, mode: "enforce" } } as const;
    const state = stateOf(machine.acquire(requestOf(narrow)), "message_rate");
    expect(state).toMatchObject({ limit: 2, remaining: 0, resetMs: 2000 });
  });

  it("go by the modes that the request brought", () => {
    const machine = createAdmissionMachine(leaseMs, 10);
    const modes = { user_in_flight: "shadow", user_budget: "off" } as const;
    const reply = machine.acquire(requestOf(limits, { ask: { budget, modes } }));
    expect(stateOf(reply, "user_in_flight")?.mode).toBe("shadow");
    expect(stateOf(reply, "user_budget")?.mode).toBe("off");
    expect(stateOf(reply, "message_rate")?.mode).toBe("enforce");
  });
});

function machineAdmits(machine: AdmissionMachine, limits: Partial<MachineLimits>) {
  const reply = machine.acquire(requestOf(limits, { ask: undefined }));
  if (reply === "full" || !reply.admitted) throw new Error("not admitted");
  return reply;
}
