import { setImmediate } from "node:timers/promises";
import { percentiles, type Percentiles } from "../stream/percentiles.ts";
import type { Decide } from "./contenders.ts";

export interface Closed extends Percentiles {
  readonly perSecond: number;
}

/** So many callers, each of whom asks again once it is answered. Times in milliseconds. */
export async function closedLoop(
  decide: Decide,
  callers: number,
  durationMs: number,
): Promise<Closed> {
  const taken: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  const call = async (): Promise<void> => {
    for (let atMs = startMs; atMs < endMs; ) {
      await decide();
      const nowMs = performance.now();
      taken.push(nowMs - atMs);
      atMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  const perSecond = (taken.length / (performance.now() - startMs)) * 1000;
  return { perSecond, ...percentiles(taken) };
}

/** Calls between two turns of the event loop, as on a busy server. */
const callsPerTurn = 20;

/** One caller that waits only where it gets a promise. Decisions per second. */
export async function synchronousLoop(decide: () => unknown, durationMs: number): Promise<number> {
  const startMs = performance.now();
  let decisions = 0;
  while (performance.now() < startMs + durationMs) {
    for (let call = 0; call < callsPerTurn; call += 1) {
      const decided = decide();
      if (decided instanceof Promise) await decided;
    }
    decisions += callsPerTurn;
    await setImmediate();
  }
  return (decisions / (performance.now() - startMs)) * 1000;
}

/** Asks at a steady pace, whoever has been answered; times count from when it was due to ask. */
export async function openLoop(
  decide: Decide,
  perSecond: number,
  durationMs: number,
): Promise<Percentiles> {
  const taken: number[] = [];
  const all: Promise<void>[] = [];
  const startMs = performance.now();
  const ask = async (dueMs: number): Promise<void> => {
    await decide();
    taken.push(performance.now() - dueMs);
  };
  const total = (durationMs / 1000) * perSecond;
  while (all.length < total) {
    const due = Math.min(total, ((performance.now() - startMs) / 1000) * perSecond);
    while (all.length < due) all.push(ask(startMs + (all.length / perSecond) * 1000));
    await setImmediate();
  }
  await Promise.all(all);
  return percentiles(taken);
}
