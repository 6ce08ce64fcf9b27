import { Reason } from "@sluice/contract";
import { expect, it } from "vitest";
import type { GateContext } from "./gate.ts";
import { featureFlagGate } from "./feature-flag.ts";

const gate = featureFlagGate<unknown>("flags of a test");

function check(subject: string, shut?: GateContext<unknown>["shut"]) {
  return gate.check({ shut, request: { subject } } as GateContext<unknown>);
}

it("allows while the feature is open", () => {
  expect(check("ann")).toEqual({ effect: "allow" });
});

it.each(["", "a\0b", "\ud800", "é".repeat(513)])(
  "diverts the subject %j, which can never be eligible, whatever the later gates' modes",
  (subject) => {
    expect(check(subject)).toEqual({ effect: "divert", reason: Reason.NOT_IN_ROLLOUT });
  },
);

it("diverts with the reason for which the feature is shut", () => {
  expect(check("ann", { gate: "feature-flag", reason: Reason.FLAGS_STALE, closed: false })).toEqual(
    { effect: "divert", reason: Reason.FLAGS_STALE },
  );
});

it("leaves a kill to the next gate", () => {
  const killed = { gate: "kill-switch", reason: Reason.KILLED, closed: true } as const;
  expect(check("", killed)).toEqual({ effect: "allow" });
});
