import type { GateMode, GateName, Hold, Reason, Verdict } from "@sluice/contract";
import { FakeClock, fakeFlagSource } from "@sluice/testkit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { composeChain, type ChainResult } from "./chain.ts";
import { createEvents } from "./events.ts";
import type { Gate, GateContext } from "./gates/gate.ts";
import { alwaysWell } from "./health.ts";
import { newContext } from "./new-context.ts";
import type { Route } from "./route.ts";
import { createSafety } from "./safety.ts";

const noRoute: Route<unknown> = {
  strategy: "default",
  failover: () => false,
  providers: [],
  healthOf: () => alwaysWell,
  candidates: () => [],
  problems: () => [],
  isEnabled: () => true,
  plan: () => ({ strategy: "default", requested: undefined, candidates: [], skipped: [] }),
};

function contextOf(): GateContext<unknown> {
  const clock = new FakeClock();
  const events = createEvents({ feature: "sample_ai", sinks: [], clock });
  const source = fakeFlagSource({ clock });
  const safety = createSafety({
    feature: "sample_ai",
    source,
    maxStalenessMs: 5000,
    clock,
    events,
  });
  return newContext(safety, noRoute, {}, { subject: "alice" });
}

type Answer = Verdict | Promise<Verdict> | "throws";

function gateOf(name: GateName, answer: Answer, more: Partial<Gate<unknown>> = {}) {
  const asked = { count: 0 };
  const gate: Gate<unknown> = {
    name,
    mode: "enforce",
    onIndeterminate: "closed",
    reason: "STORE_UNAVAILABLE",
    detail: "",
    check() {
      asked.count += 1;
      if (answer === "throws") throw new Error("planted");
      return answer;
    },
    ...more,
  };
  return { gate, asked };
}

const allow: Verdict = { effect: "allow" };
const divert: Verdict = { effect: "divert", reason: "NOT_ALLOWLISTED" };
const reject = { effect: "reject", reason: "MESSAGE_RATE", retryAfterMs: 250 } as const;
const unclear: Verdict = { effect: "indeterminate", reason: "STORE_UNAVAILABLE" };

const hold = (kind: Hold["kind"]): Verdict => ({
  effect: "allow",
  hold: { kind, release: () => undefined },
});

function run(gates: readonly Gate<unknown>[], context = contextOf()) {
  const threw: GateName[] = [];
  const result = composeChain(gates, (name) => threw.push(name))(context);
  return { result, threw, context };
}

describe("a chain", () => {
  it("allows what every gate allows, and has a line of each in its trail", () => {
    const { result } = run([gateOf("opt-in", allow).gate, gateOf("rollout", allow).gate]);
    expect(result).toEqual({
      effect: "allow",
      gate: undefined,
      reason: undefined,
      retryAfterMs: undefined,
      trail: [
        { gate: "opt-in", verdict: "allow" },
        { gate: "rollout", verdict: "allow" },
      ],
    });
  });

  it.each([
    [divert, { effect: "divert", reason: "NOT_ALLOWLISTED", retryAfterMs: undefined }],
    [reject, { effect: "reject", reason: "MESSAGE_RATE", retryAfterMs: 250 }],
  ])("stops at %j: the gates behind it are not asked", (verdict, expected) => {
    const behind = gateOf("admission", allow);
    const { result } = run([gateOf("allowlist", verdict).gate, behind.gate]);
    expect(result).toMatchObject({ ...expected, gate: "allowlist" });
    expect(behind.asked.count).toBe(0);
  });

  it("does not ask a gate that is off, and says nothing of it", () => {
    const { gate, asked } = gateOf("rollout", divert, { mode: "off" });
    expect(run([gate]).result).toMatchObject({ effect: "allow", trail: [] });
    expect(asked.count).toBe(0);
  });

  it.each([
    [divert, "would_divert"],
    [reject, "would_reject"],
    [unclear, "would_indeterminate"],
  ] as const)("records %j of a gate in shadow as %s, and goes on", (verdict, name) => {
    const { gate } = gateOf("rollout", verdict, { mode: "shadow" });
    const { result } = run([gate, gateOf("admission", allow).gate]);
    expect(result).toMatchObject({ effect: "allow" });
    expect((result as ChainResult).trail).toEqual([
      { gate: "rollout", verdict: name, reason: "reason" in verdict ? verdict.reason : "" },
      { gate: "admission", verdict: "allow" },
    ]);
  });

  it("records what dimensions in shadow would have said before what the gate says", () => {
    const would: readonly Reason[] = ["USER_IN_FLIGHT", "MESSAGE_RATE"];
    const lines = would.map((reason) => ({ gate: "admission", verdict: "would_reject", reason }));
    expect(run([gateOf("admission", { effect: "allow", would }).gate]).result).toMatchObject({
      trail: [...lines, { gate: "admission", verdict: "allow" }],
    });
    expect(run([gateOf("admission", { ...reject, would }).gate]).result).toMatchObject({
      trail: [...lines, { gate: "admission", verdict: "reject", reason: "MESSAGE_RATE" }],
    });
  });

  it.each([
    ["closed diverts", "budget", "closed", { effect: "divert", reason: "STORE_UNAVAILABLE" }],
    ["open goes on", "budget", "open", { effect: "allow" }],
    [
      "closed rejects at admission",
      "admission",
      "closed",
      { effect: "reject", reason: "STORE_UNAVAILABLE", retryAfterMs: 1000 },
    ],
    ["open goes on at admission", "admission", "open", { effect: "allow" }],
  ] as const)("that can't tell: %s", async (_, name, onIndeterminate, expected) => {
    const answers: readonly Answer[] = [
      unclear,
      "throws",
      Promise.resolve(unclear),
      Promise.reject(new Error("planted")),
    ];
    for (const answer of answers) {
      const { gate } = gateOf(name, answer, { onIndeterminate });
      const { result } = run([gate]);
      expect(await result).toMatchObject(expected);
      expect((await result).trail).toMatchObject([
        { gate: name, verdict: `indeterminate_${onIndeterminate}` },
      ]);
    }
  });

  it("tells which gate threw, and not what", async () => {
    const late = Promise.reject(new Error("planted"));
    const { result, threw } = run([
      gateOf("opt-in", "throws", { onIndeterminate: "open" }).gate,
      gateOf("admission", late).gate,
    ]);
    await result;
    expect(threw).toEqual(["opt-in", "admission"]);
  });

  it("makes no promise unless a gate does, and then keeps the order", async () => {
    expect(run([gateOf("opt-in", allow).gate]).result).not.toBeInstanceOf(Promise);
    const order: string[] = [];
    const noting = (name: GateName, answer: Answer): Gate<unknown> => {
      const { gate } = gateOf(name, answer);
      return {
        ...gate,
        check: (context) => {
          order.push(name);
          return gate.check(context);
        },
      };
    };
    const { result } = run([
      noting("opt-in", allow),
      noting("budget", Promise.resolve(allow)),
      noting("admission", Promise.resolve(divert)),
    ]);
    expect(result).toBeInstanceOf(Promise);
    expect(await result).toMatchObject({ effect: "divert", gate: "admission" });
    expect(order).toEqual(["opt-in", "budget", "admission"]);
  });

  it("I4 keeps what gates took, in the order in which they took it, also where a later one stops it", () => {
    const { context } = run([
      gateOf("budget", hold("reservation")).gate,
      gateOf("circuit-breaker", hold("permit"), { mode: "shadow" }).gate,
      gateOf("admission", divert).gate,
    ]);
    expect(context.holds.map((taken) => taken.kind)).toEqual(["reservation", "permit"]);
  });

  it("decides the same whether gates answer at once or later", async () => {
    const names: readonly GateName[] = ["opt-in", "allowlist", "rollout", "budget", "admission"];
    const steps = fc.array(
      fc.record({
        verdict: fc.constantFrom<Verdict>(allow, allow, divert, reject, unclear),
        mode: fc.constantFrom<GateMode>("off", "shadow", "enforce"),
        onIndeterminate: fc.constantFrom("open" as const, "closed"),
        late: fc.boolean(),
      }),
      { maxLength: names.length },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (drawn) => {
        const gates = (late: boolean) =>
          drawn.map((step, index) => {
            const verdict = late && step.late ? Promise.resolve(step.verdict) : step.verdict;
            return gateOf(names[index] ?? "opt-in", verdict, step).gate;
          });
        const atOnce = run(gates(false)).result;
        expect(atOnce).not.toBeInstanceOf(Promise);
        expect(await run(gates(true)).result).toEqual(atOnce);
      }),
    );
  });
});
