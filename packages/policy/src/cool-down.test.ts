import { failureCodes, type FailureCode } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterFailure, afterSuccess, coolsForMs, notCooling, type CoolDown } from "./cool-down.ts";
import { failureTable } from "./failure-table.ts";

const limited = (retryAfterMs?: number) => ({
  code: "PROVIDER_RATE_LIMITED" as const,
  retryAfterMs,
});

/** The waits of failures that come one after the other, each when the last wait is over. */
function waitsOf(code: FailureCode, count: number): number[] {
  let state = notCooling;
  let nowMs = 5000;
  return Array.from({ length: count }, () => {
    state = afterFailure(state, { code, retryAfterMs: undefined }, nowMs);
    const waitMs = coolsForMs(state, nowMs);
    nowMs += waitMs;
    return waitMs;
  });
}

describe("a candidate's cool-down", () => {
  it("has not begun at first", () => {
    expect(coolsForMs(notCooling, 0)).toBe(0);
    expect(coolsForMs(notCooling, 1e12)).toBe(0);
  });

  it("does not begin with a failure that the table gives none, unless a host asks to wait", () => {
    const cooling = afterFailure(notCooling, limited(5000), 0);
    for (const code of failureCodes.filter((one) => failureTable[one].coolDownMs === 0)) {
      const asked = afterFailure(notCooling, { code, retryAfterMs: 9000 }, 0);
      expect(coolsForMs(asked, 0), code).toBe(failureTable[code].failover ? 9000 : 0);
      expect(afterFailure(notCooling, { code, retryAfterMs: 0 }, 0), code).toBe(notCooling);
      expect(afterFailure(cooling, { code, retryAfterMs: undefined }, 0), code).toBe(cooling);
    }
  });

  it("lasts as long as the table says, then ends", () => {
    const state = afterFailure(notCooling, limited(), 5000);
    expect(coolsForMs(state, 5000)).toBe(1000);
    expect(coolsForMs(state, 5999)).toBe(1);
    expect(coolsForMs(state, 6000)).toBe(0);
    expect(coolsForMs(state, 9000)).toBe(0);
  });

  it("doubles with each in a row, up to a minute", () => {
    expect(waitsOf("PROVIDER_RATE_LIMITED", 8)).toEqual([
      1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000,
    ]);
    expect(waitsOf("PROVIDER_AUTH", 4)).toEqual([10_000, 20_000, 40_000, 60_000]);
    expect(waitsOf("PROVIDER_QUOTA", 2)).toEqual([60_000, 60_000]);
    expect(waitsOf("PROVIDER_RATE_LIMITED", 2000).at(-1)).toBe(60_000);
  });

  it("lasts as long as the upstream asked for, shorter or longer than the table says", () => {
    expect(coolsForMs(afterFailure(notCooling, limited(6), 100), 100)).toBe(6);
    expect(coolsForMs(afterFailure(notCooling, limited(0), 100), 100)).toBe(0);
    expect(coolsForMs(afterFailure(notCooling, limited(90_000), 100), 100)).toBe(90_000);
  });

  it("lasts no longer than ten minutes, whatever the upstream asked for", () => {
    for (const asked of [600_001, 86_400_000, Number.POSITIVE_INFINITY]) {
      expect(coolsForMs(afterFailure(notCooling, limited(asked), 0), 0)).toBe(600_000);
    }
  });

  it.each([-1, Number.NaN])("is the table's when the upstream asked for %d", (asked) => {
    expect(coolsForMs(afterFailure(notCooling, limited(asked), 0), 0)).toBe(1000);
  });

  it("is not shortened by a later failure that asks for less", () => {
    const state = afterFailure(notCooling, limited(30_000), 0);
    expect(afterFailure(state, limited(6), 10).untilMs).toBe(30_000);
    expect(afterFailure(state, limited(), 10).untilMs).toBe(30_000);
  });

  it("counts a storm of calls that were in flight together as one refusal", () => {
    let state: CoolDown = notCooling;
    for (let i = 0; i < 100; i += 1) state = afterFailure(state, limited(), i);
    expect(state).toEqual({ untilMs: 1099, streak: 1 });
  });

  it("is short again after a success", () => {
    let state = afterFailure(notCooling, limited(), 0);
    state = afterFailure(state, limited(), 1000);
    expect(coolsForMs(state, 1000)).toBe(2000);
    state = afterSuccess(state);
    state = afterFailure(state, limited(), 3000);
    expect(coolsForMs(state, 3000)).toBe(1000);
  });

  it("goes on when a call that was in flight before it ends well", () => {
    const state = afterSuccess(afterFailure(notCooling, limited(30_000), 0));
    expect(coolsForMs(state, 1)).toBe(29_999);
  });

  it("takes no memory for success after success", () => {
    expect(afterSuccess(notCooling)).toBe(notCooling);
  });

  it("over any sequence ends no earlier than before, and within ten minutes", () => {
    const step = fc.record({
      afterMs: fc.nat(20_000),
      code: fc.option(fc.constantFrom(...failureCodes), { nil: undefined }),
      retryAfterMs: fc.option(fc.nat(2_000_000), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        let state = notCooling;
        let nowMs = 0;
        for (const { afterMs, code, retryAfterMs } of steps) {
          nowMs += afterMs;
          const before = coolsForMs(state, nowMs);
          state =
            code === undefined
              ? afterSuccess(state)
              : afterFailure(state, { code, retryAfterMs }, nowMs);
          expect(coolsForMs(state, nowMs)).toBeGreaterThanOrEqual(before);
          expect(coolsForMs(state, nowMs)).toBeLessThanOrEqual(600_000);
        }
      }),
    );
  });
});
