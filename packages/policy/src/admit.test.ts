import { Reason, gateModes, type GateMode } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { admit, admitTool, type AdmissionCounts, type AdmissionLimits } from "./admit.ts";

const nowMs = 100_000;
const rate = { count: 1, perMs: 1000, burst: 1 };

const dimensions = ["user", "global", "rate"] as const;
type Dimension = (typeof dimensions)[number];

const reasonOf: Readonly<Record<Dimension, Reason>> = {
  user: Reason.USER_IN_FLIGHT,
  global: Reason.GLOBAL_IN_FLIGHT,
  rate: Reason.MESSAGE_RATE,
};

interface Cell {
  readonly modes: Readonly<Record<Dimension, GateMode>>;
  readonly full: Readonly<Record<Dimension, boolean>>;
}

const both = [false, true];
const cells: Cell[] = gateModes.flatMap((user) =>
  gateModes.flatMap((global) =>
    gateModes.flatMap((message) =>
      both.flatMap((userFull) =>
        both.flatMap((globalFull) =>
          both.map((rateFull) => ({
            modes: { user, global, rate: message },
            full: { user: userFull, global: globalFull, rate: rateFull },
          })),
        ),
      ),
    ),
  ),
);

const limitsOf = ({ modes }: Cell): AdmissionLimits => ({
  userInFlight: { limit: 2, mode: modes.user },
  globalInFlight: { limit: 5, mode: modes.global },
  messageRate: { ...rate, mode: modes.rate },
});

const countsOf = ({ full }: Cell): AdmissionCounts => ({
  user: full.user ? 2 : 1,
  global: full.global ? 5 : 4,
  tatMs: full.rate ? nowMs + 500 : nowMs - 500,
});

const fullIn = (cell: Cell, mode: GateMode): Reason[] =>
  dimensions
    .filter((dimension) => cell.full[dimension] && cell.modes[dimension] === mode)
    .map((dimension) => reasonOf[dimension]);

describe("admission over every combination of modes and full dimensions", () => {
  it("covers 216 of them", () => {
    expect(cells).toHaveLength(216);
  });

  it("refuses exactly when a dimension in force is full", () => {
    for (const cell of cells) {
      const inForce = fullIn(cell, "enforce");
      const { refused } = admit(countsOf(cell), limitsOf(cell), nowMs);
      expect(refused !== undefined, JSON.stringify(cell)).toBe(inForce.length > 0);
    }
  });

  it("says with a refusal which of the full dimensions it was, and how long to wait", () => {
    for (const cell of cells.filter((one) => fullIn(one, "enforce").length > 0)) {
      const { refused } = admit(countsOf(cell), limitsOf(cell), nowMs);
      expect(fullIn(cell, "enforce"), JSON.stringify(cell)).toContain(refused?.reason);
      expect(refused?.retryAfterMs).toBeGreaterThan(0);
    }
  });

  it("names every full dimension that is in shadow, refused or not", () => {
    for (const cell of cells) {
      const { wouldRefuse } = admit(countsOf(cell), limitsOf(cell), nowMs);
      expect(wouldRefuse, JSON.stringify(cell)).toEqual(fullIn(cell, "shadow"));
    }
  });

  it("I14 leaves the rate as it was when any dimension refuses", () => {
    for (const cell of cells.filter((one) => fullIn(one, "enforce").length > 0)) {
      const counts = countsOf(cell);
      expect(admit(counts, limitsOf(cell), nowMs).tatMs, JSON.stringify(cell)).toBe(counts.tatMs);
    }
  });

  it("takes no place in a dimension that a shadow would have refused, so that the prediction stays true", () => {
    for (const cell of cells.filter((one) => fullIn(one, "enforce").length === 0)) {
      const counts = countsOf(cell);
      const verdict = admit(counts, limitsOf(cell), nowMs);
      const would = fullIn(cell, "shadow");
      expect(verdict.takesUser).toBe(!would.includes(Reason.USER_IN_FLIGHT));
      expect(verdict.takesGlobal).toBe(!would.includes(Reason.GLOBAL_IN_FLIGHT));
      const moves = cell.modes.rate !== "off" && !would.includes(Reason.MESSAGE_RATE);
      expect(verdict.tatMs !== counts.tatMs, JSON.stringify(cell)).toBe(moves);
    }
  });
});

describe("admission", () => {
  const none: AdmissionLimits = {
    userInFlight: undefined,
    globalInFlight: undefined,
    messageRate: undefined,
  };

  it("without limits admits everything", () => {
    const counts = { user: 1e9, global: 1e9, tatMs: 1e15 };
    expect(admit(counts, none, nowMs)).toMatchObject({ refused: undefined, wouldRefuse: [] });
  });

  it("admits the last place and refuses the next", () => {
    const limits = { ...none, userInFlight: { limit: 3, mode: "enforce" as const } };
    expect(admit({ user: 2, global: 9, tatMs: 0 }, limits, nowMs).refused).toBeUndefined();
    expect(admit({ user: 3, global: 9, tatMs: 0 }, limits, nowMs).refused?.reason).toBe(
      Reason.USER_IN_FLIGHT,
    );
  });

  it("asks a caller whom two dimensions refuse to wait for the longer", () => {
    const limits: AdmissionLimits = {
      ...none,
      userInFlight: { limit: 1, mode: "enforce" },
      messageRate: { count: 1, perMs: 60_000, burst: 1, mode: "enforce" },
    };
    const counts = { user: 1, global: 1, tatMs: nowMs + 30_000 };
    expect(admit(counts, limits, nowMs).refused).toEqual({
      reason: Reason.MESSAGE_RATE,
      retryAfterMs: 30_000,
    });
  });
});

describe("admission of a tool call", () => {
  const full = nowMs + 500;
  const free = nowMs - 500;

  it("takes its share of the rate where there is room, in shadow as in force", () => {
    for (const mode of ["shadow", "enforce"] as const) {
      const { reply, tatMs } = admitTool(free, { ...rate, mode }, nowMs);
      expect(reply).toEqual({ allowed: true });
      expect(tatMs).toBe(nowMs + 1000);
    }
  });

  it("I14 takes nothing where there is none: in force it refuses, in shadow it says so", () => {
    expect(admitTool(full, { ...rate, mode: "enforce" }, nowMs)).toEqual({
      reply: { allowed: false, reason: Reason.TOOL_RATE, retryAfterMs: 500 },
      tatMs: full,
    });
    expect(admitTool(full, { ...rate, mode: "shadow" }, nowMs)).toEqual({
      reply: { allowed: true, would: Reason.TOOL_RATE },
      tatMs: full,
    });
  });

  it("asks no rate that is off or is none", () => {
    for (const given of [undefined, { ...rate, mode: "off" as const }]) {
      expect(admitTool(full, given, nowMs)).toEqual({ reply: { allowed: true }, tatMs: full });
    }
  });
});
