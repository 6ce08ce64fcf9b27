import {
  Reason,
  type AdmissionReply,
  type AdmissionState,
  type AdmissionStore,
  type GateMode,
} from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { expect, it, vi } from "vitest";
import { staticFlags } from "../flags/static-flags.ts";
import { alwaysWell } from "../health.ts";
import { newContext } from "../new-context.ts";
import type { Route } from "../route.ts";
import { createSafety } from "../safety.ts";
import { createEvents } from "../events.ts";
import { admissionGate, figuresOf } from "./admission.ts";

function remoteStore(reply: Promise<AdmissionReply | "unavailable">): AdmissionStore {
  return {
    name: "remote",
    leaseMs: 30_000,
    acquire: () => reply,
    describe: () => [],
    close: () => undefined,
  };
}

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

function asked(reply: Promise<AdmissionReply | "unavailable">, mode: GateMode = "enforce") {
  const clock = new FakeClock();
  const events = createEvents({ feature: "chat_ai", sinks: [], clock });
  const source = staticFlags({ chat_ai: { enabled: true } });
  const safety = createSafety({ feature: "chat_ai", source, maxStalenessMs: 5000, clock, events });
  const gate = admissionGate<unknown>(
    remoteStore(reply),
    { mode, onIndeterminate: "closed" },
    clock,
  );
  const context = newContext(safety, noRoute, undefined, { subject: "ann" });
  return { clock, context, verdict: gate.check(context) };
}

it("I4 a store that forgets to answer is unavailable, and its late lease is given back", async () => {
  const { promise, resolve } = Promise.withResolvers<AdmissionReply>();
  const { clock, verdict } = asked(promise);
  await clock.advanceAsync(2000);
  expect(await verdict).toEqual({ effect: "indeterminate", reason: Reason.STORE_UNAVAILABLE });
  const release = vi.fn<() => void>();
  resolve({ admitted: true, lease: { release, renew: () => undefined }, wouldRefuse: [] });
  await clock.advanceAsync(0);
  expect(release).toHaveBeenCalledOnce();
});

it("a store that rejects after its time ends nothing", async () => {
  const { promise, reject } = Promise.withResolvers<AdmissionReply>();
  const { clock, verdict } = asked(promise);
  await clock.advanceAsync(2000);
  expect(await verdict).toEqual({ effect: "indeterminate", reason: Reason.STORE_UNAVAILABLE });
  reject(new Error("late"));
  await clock.advanceAsync(0);
});

it("an answer in time counts", async () => {
  const { verdict } = asked(
    Promise.resolve({
      admitted: false,
      reason: Reason.MESSAGE_RATE,
      retryAfterMs: 7,
      wouldRefuse: [],
    }),
  );
  expect(await verdict).toMatchObject({ effect: "reject", reason: Reason.MESSAGE_RATE });
});

const states: readonly AdmissionState[] = [
  { dimension: "user_in_flight", limit: 2, remaining: 0, resetMs: 0 },
];
const refusal: AdmissionReply = {
  admitted: false,
  reason: Reason.USER_IN_FLIGHT,
  retryAfterMs: 1000,
  wouldRefuse: [],
  violated: ["user_in_flight"],
  states,
};

it("what the store counted is kept, without the lease", async () => {
  const lease = { release: () => undefined, renew: () => undefined };
  const passed = asked(Promise.resolve({ admitted: true, lease, wouldRefuse: [], states }));
  await passed.verdict;
  expect(figuresOf(passed.context)).toEqual({ violated: undefined, states });
  const refused = asked(Promise.resolve(refusal));
  await refused.verdict;
  expect(figuresOf(refused.context)).toEqual({ violated: ["user_in_flight"], states });
});

it("what was counted in shadow, or not at all, is told to nobody", async () => {
  const shadowed = asked(Promise.resolve(refusal), "shadow");
  await shadowed.verdict;
  expect(figuresOf(shadowed.context)).toBeUndefined();
  const untold = asked(Promise.resolve("unavailable"));
  await untold.verdict;
  expect(figuresOf(untold.context)).toBeUndefined();
});
