import { Reason, type FeatureFlags } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flagAgeMs, shutBy } from "./shut.ts";

const both = [false, true] as const;

interface Cell {
  readonly flagKill: boolean;
  readonly localKill: boolean;
  readonly tripped: boolean;
  readonly stale: boolean;
  readonly enabled: boolean;
  readonly percent: number;
}

const cells: Cell[] = both.flatMap((flagKill) =>
  both.flatMap((localKill) =>
    both.flatMap((tripped) =>
      both.flatMap((stale) =>
        both.flatMap((enabled) =>
          [0, 1, 50, 100].map((percent) => ({
            flagKill,
            localKill,
            tripped,
            stale,
            enabled,
            percent,
          })),
        ),
      ),
    ),
  ),
);

const flagsOf = (cell: Cell): FeatureFlags => ({
  enabled: cell.enabled,
  killed: cell.flagKill,
  percent: cell.percent,
  allowlist: ["somebody"],
  salt: "chat_ai",
  version: undefined,
  problems: [],
});

/** The order of truth as prose has it, one line each. */
function expectedReason(cell: Cell): Reason | undefined {
  if (cell.flagKill || cell.localKill) return Reason.KILLED;
  if (cell.tripped) return Reason.TRIPPED;
  if (cell.stale) return Reason.FLAGS_STALE;
  if (!cell.enabled) return Reason.FLAG_OFF;
  return cell.percent === 0 ? Reason.NOT_IN_ROLLOUT : undefined;
}

const shutOf = (cell: Cell) =>
  shutBy(flagsOf(cell), { killed: cell.localKill, tripped: cell.tripped }, cell.stale);

describe("the order of truth", () => {
  it("is kill, trip, staleness, enabled, percent 0, in every one of 128 cells", () => {
    expect(cells).toHaveLength(128);
    for (const cell of cells) {
      expect(shutOf(cell)?.reason, JSON.stringify(cell)).toBe(expectedReason(cell));
    }
  });

  it("I1 shuts a killed feature in every cell, by the kill-switch", () => {
    for (const cell of cells.filter((one) => one.flagKill || one.localKill || one.tripped)) {
      expect(shutOf(cell)?.gate, JSON.stringify(cell)).toBe("kill-switch");
    }
  });

  it("calls a feature closed when it is killed, disabled or at 0 %, and not when its flags are stale", () => {
    for (const cell of cells) {
      const shut = shutOf(cell);
      if (shut === undefined) continue;
      expect(shut.closed, JSON.stringify(cell)).toBe(shut.reason !== Reason.FLAGS_STALE);
    }
  });
});

describe("the age of flags", () => {
  const confirmed = { monotonicMs: 1000, wallMs: 50_000 };

  it("is what both clocks say when they agree", () => {
    expect(flagAgeMs(confirmed, { monotonicMs: 1700, wallMs: 50_700 })).toBe(700);
  });

  it("I9 is the wall clock's when the machine slept and the monotonic clock stood still", () => {
    expect(flagAgeMs(confirmed, { monotonicMs: 1010, wallMs: 90_000 })).toBe(40_000);
  });

  it("I9 is the monotonic clock's when the wall clock stepped back", () => {
    expect(flagAgeMs(confirmed, { monotonicMs: 7000, wallMs: 10_000 })).toBe(6000);
  });

  it("I9 is never less than either clock's", () => {
    const clocks = fc.record({ monotonicMs: fc.nat(), wallMs: fc.integer() });
    fc.assert(
      fc.property(clocks, clocks, (then, now) => {
        const age = flagAgeMs(then, now);
        expect(age).toBeGreaterThanOrEqual(now.monotonicMs - then.monotonicMs);
        expect(age).toBeGreaterThanOrEqual(now.wallMs - then.wallMs);
      }),
    );
  });
});
