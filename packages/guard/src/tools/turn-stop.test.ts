import { describe, expect, it } from "vitest";
import { createTurnStop } from "./turn-stop.ts";

function bench() {
  const stops = new Set<() => void>();
  const turn = createTurnStop((stop) => {
    stops.add(stop);
    return () => void stops.delete(stop);
  });
  return { stops, turn, stop: () => [...stops].forEach((stop) => stop()) };
}

describe("the stop of a turn", () => {
  it("is told once to everybody who listens, and not to who no longer does", () => {
    const { turn, stop } = bench();
    const told: string[] = [];
    turn.onStop(() => told.push("stays"));
    turn.onStop(() => told.push("left"))();
    expect(turn.isStopped).toBe(false);
    stop();
    stop();
    expect(told).toEqual(["stays"]);
    expect(turn.isStopped).toBe(true);
  });

  it("is told at once to who only begins to listen afterwards", () => {
    const { turn, stop } = bench();
    stop();
    let told = 0;
    turn.onStop(() => (told += 1))();
    expect(told).toBe(1);
  });

  it("takes itself back at the end", () => {
    const { stops, turn } = bench();
    turn.end();
    expect(stops.size).toBe(0);
  });
});
