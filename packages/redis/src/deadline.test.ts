import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createDeadline } from "./deadline.ts";

const limitMs = 50;

describe("answers within a time limit", () => {
  it("that come in time are handed on, and late ones are given up within a fifth more", async () => {
    const clock = new FakeClock();
    const deadline = createDeadline(clock, limitMs);
    expect(await deadline.within(Promise.resolve("soon"))).toBe("soon");
    const told: string[] = [];
    const { promise, resolve } = Promise.withResolvers<string>();
    const answer = deadline.within(promise, () => told.push("unknown"));
    void answer.then((value) => told.push(`${value}`));
    await clock.advanceAsync(limitMs - 1);
    expect(told).toEqual([]);
    await clock.advanceAsync(1 + limitMs / 5);
    expect(told).toEqual(["undefined"]);
    resolve("late");
    await clock.advanceAsync(1);
    expect(told).toEqual(["undefined", "unknown"]);
    deadline.close();
  });

  it("count where they came in while the process stood still, and are given up a look later otherwise", async () => {
    let now = 0;
    const sweeps: (() => void)[] = [];
    const clock = Object.assign(new FakeClock(), {
      monotonicMs: () => now,
      every: (_ms: number, sweep: () => void) => {
        sweeps.push(sweep);
        return () => undefined;
      },
    });
    const deadline = createDeadline(clock, limitMs);
    const { promise, resolve } = Promise.withResolvers<string>();
    const came = deadline.within(promise);
    const lost = deadline.within(Promise.withResolvers<string>().promise);
    // Timers run first once it goes on, then what waits in sockets is read.
    now = 400;
    for (const sweep of sweeps) sweep();
    resolve("in time");
    expect(await came).toBe("in time");
    // Also where it is late at every look.
    now = 800;
    for (const sweep of sweeps) sweep();
    expect(await lost).toBeUndefined();
    deadline.close();
  });

  it("that fail answer nothing at once, and what was asked for may have been done", async () => {
    const deadline = createDeadline(new FakeClock(), limitMs);
    const told: unknown[] = [];
    const error = new Error("reset");
    expect(
      await deadline.within(Promise.reject(error), (reason) => told.push(reason)),
    ).toBeUndefined();
    expect(told).toEqual([error]);
    deadline.close();
  });

  it("are given up when it is closed", async () => {
    const deadline = createDeadline(new FakeClock(), limitMs);
    const answer = deadline.within(Promise.withResolvers<string>().promise);
    deadline.close();
    expect(await answer).toBeUndefined();
  });
});
