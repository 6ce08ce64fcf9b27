import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createDrain } from "./drain.ts";

const open = () => {
  const clock = new FakeClock();
  let shuts = 0;
  const drain = createDrain(clock, () => {
    shuts += 1;
  });
  let isOver = false;
  const start = (deadlineMs = 1000): void => {
    const waiting = async (): Promise<void> => {
      await drain.start(deadlineMs);
      isOver = true;
    };
    void waiting();
  };
  return { clock, drain, start, isOver: () => isOver, shuts: () => shuts };
};

describe("a drain", () => {
  it("is over at once where nothing is under way", async () => {
    const { clock, start, isOver, shuts } = open();
    start();
    await clock.advanceAsync(0);
    expect(isOver()).toBe(true);
    await clock.advanceAsync(10_000);
    expect(shuts()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it("waits for what is under way, however it ends", async () => {
    const { clock, drain, start, isOver, shuts } = open();
    const [one, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    drain.watch(one.promise);
    drain.watch(other.promise);
    expect(drain.active).toBe(2);
    expect(drain.isDraining).toBe(false);
    start();
    expect(drain.isDraining).toBe(true);
    one.resolve();
    await clock.advanceAsync(999);
    expect(isOver()).toBe(false);
    other.reject(new Error("theirs"));
    await clock.advanceAsync(0);
    expect(isOver()).toBe(true);
    expect(drain.active).toBe(0);
    expect(shuts()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it("shuts what is still under way at the deadline, once", async () => {
    const { clock, drain, start, isOver, shuts } = open();
    const slow = Promise.withResolvers<void>();
    drain.watch(slow.promise);
    start();
    start(1);
    await clock.advanceAsync(999);
    expect(shuts()).toBe(0);
    await clock.advanceAsync(5000);
    expect(shuts()).toBe(1);
    expect(isOver()).toBe(false);
    slow.resolve();
    await clock.advanceAsync(0);
    expect(isOver()).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("waits no longer than five seconds for what does not end when it is shut", async () => {
    const { clock, drain, start, isOver } = open();
    drain.watch(Promise.withResolvers<never>().promise);
    start();
    await clock.advanceAsync(5999);
    expect(isOver()).toBe(false);
    await clock.advanceAsync(1);
    expect(isOver()).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("without a deadline shuts nothing, for as long as a timer of the machine can wait", async () => {
    const { clock, drain, start, shuts } = open();
    const delays: number[] = [];
    const after = clock.after.bind(clock);
    clock.after = (delayMs, callback) => {
      delays.push(delayMs);
      return after.call(clock, delayMs, callback);
    };
    drain.watch(Promise.withResolvers<never>().promise);
    start(Number.POSITIVE_INFINITY);
    expect(delays).toEqual([2 ** 31 - 1]);
    expect(shuts()).toBe(0);
  });
});
