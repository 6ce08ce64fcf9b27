import type { OutcomeEvent } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { unmatchedRecords } from "./unmatched-records.ts";

function rig() {
  const clock = new FakeClock();
  const retried: string[] = [];
  const records = unmatchedRecords({
    clock,
    onRetry: ({ request_id: id }) => void retried.push(id),
  });
  const event = (id: string): OutcomeEvent => ({
    v: 4,
    at_ms: clock.wallMs(),
    feature: "demo",
    event: "outcome",
    decision_id: "d",
    outcome: "SUCCEEDED",
    path: "ai",
    request_id: id,
    fallback_used: false,
    latency_ms: 1,
    attempts: [],
    skipped: [],
    tools: [],
    measures: {},
  });
  return { clock, records, retried, event };
}

describe("unmatchedRecords", () => {
  it("hands all back a second after the first came", async () => {
    const { clock, records, retried, event } = rig();
    expect(records.keep(event("a"))).toBe(true);
    await clock.advanceAsync(500);
    records.keep(event("b"));
    expect([records.size, retried]).toEqual([2, []]);
    await clock.advanceAsync(500);
    expect([records.size, retried, clock.pendingTimers]).toEqual([0, ["a", "b"], 0]);
  });

  it("keeps none for more than 5 s", async () => {
    const { clock, records, event } = rig();
    const late = event("a");
    await clock.advanceAsync(4_999);
    expect(records.keep(late)).toBe(true);
    await clock.advanceAsync(1);
    expect(records.keep(late)).toBe(false);
  });

  it("hands all back at once when asked, and leaves no timer", () => {
    const { clock, records, retried, event } = rig();
    records.keep(event("a"));
    records.retry();
    expect([records.size, retried, clock.pendingTimers]).toEqual([0, ["a"], 0]);
  });

  it("says how many it gave up, and leaves no timer", () => {
    const { clock, records, retried, event } = rig();
    records.keep(event("a"));
    records.keep(event("b"));
    expect(records.giveUp()).toBe(2);
    expect([records.size, retried, clock.pendingTimers]).toEqual([0, [], 0]);
  });
});
