import { FailureCode, Reason, failureCodes, type OutcomeRecord } from "@sluice/contract";
import { describe, expect, test } from "vitest";
import { conclude } from "./conclude.ts";
import { parseOutLine, type SlotsOutcome } from "./out-line.ts";

const record: OutcomeRecord = {
  requestId: "r",
  fallbackUsed: false,
  latencyMs: 1,
  attempts: [],
  skipped: [],
  tools: [],
  measures: {},
};
const decision = {
  id: "d",
  feature: "slotgen_ai",
  effect: "allow",
  trail: [],
  closed: false,
} as const;
const slots = [{ title: "Recall", minutes: 10 }];

const stubbed = (reason: Reason, closed = false): SlotsOutcome => ({
  status: "STUBBED",
  path: "stub",
  value: { status: "STUB", slots },
  reason,
  decision: { ...decision, closed },
  record,
});

const isFinished = (outcome: SlotsOutcome, opened: boolean, acceptStubs = false): boolean =>
  conclude("a", outcome, { opened, acceptStubs }).finished;

const own: readonly Reason[] = ["NOT_OPTED_IN", "NOT_ALLOWLISTED", "NOT_IN_ROLLOUT"];
const budget: readonly Reason[] = ["BUDGET_CALLS", "BUDGET_TOKENS", "BUDGET_COST"];
const shut = Object.values(Reason).filter((one) => !own.includes(one) && !budget.includes(one));

test.each(own)("a job that is %s is finished with its stub", (reason) => {
  expect(isFinished(stubbed(reason), true)).toBe(true);
  expect(isFinished(stubbed(reason), false)).toBe(true);
});

test.each(budget)("a job that was stubbed for %s is left to a later start", (reason) => {
  expect(isFinished(stubbed(reason), true)).toBe(false);
  expect(isFinished(stubbed(reason), false)).toBe(false);
});

test.each(shut)(
  "%s leaves jobs of a batch that was open, and finishes one that never was",
  (reason) => {
    expect(isFinished(stubbed(reason), true)).toBe(false);
    expect(isFinished(stubbed(reason), false)).toBe(true);
  },
);

test("a percentage of 0 shuts the feature for all, so it leaves jobs too", () => {
  expect(isFinished(stubbed("NOT_IN_ROLLOUT", true), true)).toBe(false);
  expect(isFinished(stubbed("NOT_IN_ROLLOUT", true), false)).toBe(true);
});

test.each(Object.values(Reason))(
  "a stub for %s finishes its job where stubs are accepted",
  (reason) => {
    expect(isFinished(stubbed(reason), true, true)).toBe(true);
  },
);

test("a job of which the run was stopped is left to a later start", () => {
  const code = FailureCode.CLIENT_ABORTED;
  const outcome: SlotsOutcome = {
    status: "FAILED",
    path: "ai",
    value: { status: "FAILED", code, slots: [] },
    failure: { code },
    decision,
    record,
  };
  expect(conclude("a", outcome, { opened: true, acceptStubs: true })).toStrictEqual({
    finished: false,
    reason: "STOPPED",
  });
});

describe("what is finished makes a line that is read back as it was", () => {
  const failed = failureCodes
    .filter((code) => code !== FailureCode.CLIENT_ABORTED)
    .map(
      (code): SlotsOutcome => ({
        status: "FAILED",
        path: "ai",
        value: { status: "FAILED", code, slots: [] },
        failure: { code },
        decision,
        record,
      }),
    );
  const succeeded: SlotsOutcome = {
    status: "SUCCEEDED",
    path: "ai",
    value: { status: "OK", slots },
    decision,
    record: { ...record, usage: { inputTokens: 3, outputTokens: 2 }, costNanoUsd: 7 },
  };
  test.each([succeeded, { ...succeeded, record }, stubbed("NOT_OPTED_IN"), ...failed])(
    "%#",
    (outcome) => {
      const conclusion = conclude('"\u{2028}\ud800', outcome, { opened: true, acceptStubs: false });
      if (!conclusion.finished) throw new Error("left");
      const text = JSON.stringify(conclusion.line);
      expect(text).not.toContain("\n");
      expect(parseOutLine(text)).toStrictEqual(conclusion.line);
    },
  );
});
