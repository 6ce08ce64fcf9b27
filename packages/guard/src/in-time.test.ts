import { FakeClock } from "@sluice/testkit";
import { expect, it, vi } from "vitest";
import { inTime } from "./in-time.ts";

it("an answer within two seconds counts, and nothing is given back or left behind", async () => {
  const clock = new FakeClock();
  const giveBack = vi.fn<(reply: string) => void>();
  const { promise, resolve } = Promise.withResolvers<string>();
  const asked = inTime(promise, clock, giveBack);
  await clock.advanceAsync(1999);
  resolve("granted");
  expect(await asked).toBe("granted");
  expect(giveBack).not.toHaveBeenCalled();
  expect(clock.pendingTimers).toBe(0);
});

it("I4 a promise that never settles is late after two seconds, and what comes after is given back once", async () => {
  const clock = new FakeClock();
  const giveBack = vi.fn<(reply: string) => void>();
  const { promise, resolve } = Promise.withResolvers<string>();
  const asked = inTime(promise, clock, giveBack);
  await clock.advanceAsync(2000);
  expect(await asked).toBe("late");
  expect(giveBack).not.toHaveBeenCalled();
  resolve("granted");
  await clock.advanceAsync(0);
  expect(giveBack.mock.calls).toEqual([["granted"]]);
});

it("a promise that rejects in time throws, and one that does so later disturbs nobody", async () => {
  const clock = new FakeClock();
  const failed = new Error("gone");
  await expect(inTime(Promise.reject(failed), clock, () => undefined)).rejects.toBe(failed);
  const { promise, reject } = Promise.withResolvers<string>();
  const asked = inTime(promise, clock, () => undefined);
  await clock.advanceAsync(2000);
  expect(await asked).toBe("late");
  reject(failed);
  await clock.advanceAsync(0);
  expect(clock.pendingTimers).toBe(0);
});
