import { Reason } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createToolQueue, type ToolEntrance, type ToolQueueAsk } from "./tool-queue.ts";
import type { ToolQueueSettings } from "./tool-queue-options.ts";

const settings: ToolQueueSettings = {
  concurrency: 1,
  maxWaiting: 3,
  maxWaitingBytes: 100,
  timeoutMs: 5000,
};

/** A queue with a switch, and entrances whose answers can be read without waiting. */
function bench(options: Partial<ToolQueueSettings> = {}, enforced = true) {
  const clock = new FakeClock();
  const bar = { enforced };
  const queue = createToolQueue({
    ...settings,
    ...options,
    clock,
    enforce: () => bar.enforced,
  });
  const enter = (ask: Partial<ToolQueueAsk> = {}) => {
    let stop: (() => void) | undefined;
    const entered = queue.enter({
      subject: "ann",
      bytes: 10,
      onStop(callback) {
        stop = callback;
        return () => {
          stop = undefined;
        };
      },
      ...ask,
    });
    const call = {
      entrance: undefined as ToolEntrance | undefined,
      waits: entered instanceof Promise,
      get listens() {
        return stop !== undefined;
      },
      stop: () => stop?.(),
      leave() {
        if (call.entrance?.kind !== "place") throw new Error("it has no place");
        return call.entrance.leave();
      },
    };
    const take = async (): Promise<void> => {
      call.entrance = await entered;
    };
    if (entered instanceof Promise) void take();
    else call.entrance = entered;
    return call;
  };
  return { clock, bar, queue, enter, settle: () => clock.advanceAsync(0) };
}

describe("an enforced tool queue", () => {
  it("lets run at once as many as may run, and the next when one has left", async () => {
    const { clock, queue, enter, settle } = bench({ concurrency: 2 });
    const [first, second, third] = [enter(), enter(), enter()];
    expect([first.waits, second.waits, third.waits]).toEqual([false, false, true]);
    expect(queue.state()).toMatchObject({ running: 2, waiting: 1, waitingBytes: 10 });
    await clock.advanceAsync(300);
    expect(third.entrance).toBeUndefined();
    expect(queue.state().oldestAgeMs).toBe(300);
    expect(second.leave()).toEqual({ waitMs: 0 });
    await settle();
    expect(third.entrance?.kind).toBe("place");
    await clock.advanceAsync(50);
    expect(third.leave()).toEqual({ waitMs: 300 });
    first.leave();
    expect(queue.state()).toEqual({
      running: 0,
      waiting: 0,
      waitingBytes: 0,
      oldestAgeMs: 0,
      refused: 0,
    });
    expect(clock.pendingTimers).toBe(0);
  });

  it("refuses at once beyond the most that may wait, by number and by bytes", () => {
    const byNumber = bench({ maxWaiting: 2 });
    for (let i = 0; i < 3; i += 1) byNumber.enter();
    const full = { kind: "refused", reason: Reason.TOOL_QUEUE_FULL, waitMs: 0 };
    expect(byNumber.enter().entrance).toEqual(full);

    const byBytes = bench({ maxWaitingBytes: 100 });
    byBytes.enter({ bytes: 1000 });
    byBytes.enter({ bytes: 60 });
    expect(byBytes.enter({ bytes: 41 }).entrance).toEqual(full);
    expect(byBytes.enter({ bytes: 40 }).waits).toBe(true);
    expect(byBytes.queue.state()).toMatchObject({ waitingBytes: 100, refused: 1 });
  });

  it("refuses whoever waits longer than the timeout, and not before", async () => {
    const { clock, enter } = bench();
    const [first, second] = [enter(), enter()];
    await clock.advanceAsync(4999);
    expect(second.entrance).toBeUndefined();
    await clock.advanceAsync(1);
    const reason = Reason.TOOL_QUEUE_TIMEOUT;
    expect(second.entrance).toEqual({ kind: "refused", reason, waitMs: 5000 });
    expect(second.listens).toBe(false);
    first.leave();
    expect(enter().waits).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it("ends a wait at the request's deadline where that comes first", async () => {
    const { clock, enter } = bench();
    enter();
    const [soon, gone] = [enter({ deadlineMs: 200 }), enter({ deadlineMs: 0 })];
    expect(gone.entrance).toMatchObject({ reason: Reason.TOOL_QUEUE_TIMEOUT, waitMs: 0 });
    await clock.advanceAsync(200);
    expect(soon.entrance).toMatchObject({ reason: Reason.TOOL_QUEUE_TIMEOUT, waitMs: 200 });
  });

  it("lets a stopped request leave at once, and frees its bytes", async () => {
    const { clock, queue, enter, settle } = bench();
    const [first, second, third] = [enter(), enter({ bytes: 100 }), enter({ bytes: 0 })];
    await clock.advanceAsync(70);
    second.stop();
    expect(queue.state()).toMatchObject({ waiting: 1, waitingBytes: 0 });
    await settle();
    expect(second.entrance).toEqual({ kind: "aborted", waitMs: 70 });
    expect(second.listens).toBe(false);
    first.leave();
    await settle();
    expect(third.entrance?.kind).toBe("place");
    third.leave();
    expect(third.listens).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it("gives no place to who has waited too long, although a busy process is late with its timer", async () => {
    const clock = new FakeClock();
    let lateMs = 0;
    const queue = createToolQueue({
      ...settings,
      enforce: () => true,
      clock: {
        monotonicMs: () => clock.monotonicMs() + lateMs,
        wallMs: () => clock.wallMs(),
        after: (delayMs, callback) => clock.after(delayMs, callback),
        every: (intervalMs, callback) => clock.every(intervalMs, callback),
      },
    });
    const first = await queue.enter({ subject: "ann", bytes: 0 });
    const second = queue.enter({ subject: "ann", bytes: 0 });
    lateMs = 6000;
    if (first.kind === "place") first.leave();
    const reason = Reason.TOOL_QUEUE_TIMEOUT;
    expect(await second).toEqual({ kind: "refused", reason, waitMs: 5000 });
    expect(clock.pendingTimers).toBe(0);
  });

  it("serves a subject with one call within a round, behind one with a thousand", async () => {
    const { enter, settle } = bench({ maxWaiting: 1001, maxWaitingBytes: 1e6 });
    const first = enter();
    const greedy = Array.from({ length: 1000 }, () => enter());
    const modest = enter({ subject: "ben" });
    first.leave();
    await settle();
    greedy[0]?.leave();
    await settle();
    expect(modest.entrance?.kind).toBe("place");
  });

  it("counts a second leave as nothing", () => {
    const { queue, enter } = bench({ concurrency: 2 });
    const [first] = [enter(), enter()];
    for (let i = 0; i < 3; i += 1) expect(first.leave()).toEqual({ waitMs: 0 });
    expect(queue.state().running).toBe(1);
  });
});

describe("an advisory tool queue", () => {
  it("lets everybody run at once, and tells how long an enforced one would have made each wait", async () => {
    const { clock, queue, enter } = bench({}, false);
    const calls = [enter(), enter(), enter()];
    expect(queue.state()).toMatchObject({ running: 3, waiting: 2, waitingBytes: 20 });
    await clock.advanceAsync(100);
    expect(calls.map((call) => call.leave())).toEqual([
      { waitMs: 0 },
      { waitMs: 100 },
      { waitMs: 200 },
    ]);
    expect(queue.state()).toMatchObject({ running: 0, waiting: 1 });
    await clock.advanceAsync(200);
    expect(queue.state()).toMatchObject({ running: 0, waiting: 0, waitingBytes: 0 });
  });

  it("tells the wait so far where it can't know the rest", async () => {
    const { clock, enter } = bench({}, false);
    const [long, short] = [enter(), enter()];
    await clock.advanceAsync(100);
    expect(short.leave()).toEqual({ waitMs: 100 });
    await clock.advanceAsync(400);
    long.leave();
    // By now it is known, and who asks again is told.
    expect(short.leave()).toEqual({ waitMs: 500 });
  });

  it("names the refusal that each would have met, and takes no place for it", async () => {
    const { clock, queue, enter } = bench({ maxWaiting: 1, timeoutMs: 50 }, false);
    const [first, second, third] = [enter(), enter(), enter()];
    await clock.advanceAsync(50);
    expect(second.leave()).toEqual({ waitMs: 50, would: Reason.TOOL_QUEUE_TIMEOUT });
    expect(third.leave()).toEqual({ waitMs: 0, would: Reason.TOOL_QUEUE_FULL });
    expect(queue.state()).toMatchObject({ running: 1, waiting: 0, refused: 2 });
    expect(first.leave()).toEqual({ waitMs: 0 });
    const last = enter();
    expect(last.leave()).toEqual({ waitMs: 0 });
  });

  it("foresees a timeout that only comes after the call has ended", async () => {
    const { clock, enter } = bench({ timeoutMs: 150 }, false);
    const calls = [enter(), enter(), enter()];
    await clock.advanceAsync(100);
    expect(calls.map((call) => call.leave())).toEqual([
      { waitMs: 0 },
      { waitMs: 100 },
      { waitMs: 150, would: Reason.TOOL_QUEUE_TIMEOUT },
    ]);
  });

  it("passes over a shadow whose time is up before its turn", async () => {
    const { clock, enter } = bench({}, false);
    const calls = [enter(), enter(), enter({ deadlineMs: 150 }), enter()];
    await clock.advanceAsync(100);
    expect(calls.map((call) => call.leave())).toEqual([
      { waitMs: 0 },
      { waitMs: 100 },
      { waitMs: 150, would: Reason.TOOL_QUEUE_TIMEOUT },
      { waitMs: 200 },
    ]);
  });

  it("works out a thousand turns; who stands behind them is told at least as much", async () => {
    const { clock, enter } = bench(
      { maxWaiting: 1500, maxWaitingBytes: 1e6, timeoutMs: 1e9 },
      false,
    );
    enter();
    const calls = Array.from({ length: 1500 }, () => enter());
    await clock.advanceAsync(10);
    expect(calls[999]?.leave()).toEqual({ waitMs: 10_000 });
    expect(calls[1400]?.leave()).toEqual({ waitMs: 10_010 });
  });

  it("counts a shadow ahead for as long as its call took", async () => {
    const { clock, enter } = bench({}, false);
    const [first, brief, third] = [enter(), enter(), enter()];
    await clock.advanceAsync(20);
    brief.leave();
    await clock.advanceAsync(80);
    expect([third, first].map((call) => call.leave())).toEqual([{ waitMs: 120 }, { waitMs: 0 }]);
  });

  it("takes the shadow of a stopped request out of the line, and off the place it would have left", async () => {
    const { clock, queue, enter } = bench({}, false);
    const [first, second, third] = [enter(), enter(), enter()];
    await clock.advanceAsync(40);
    second.stop();
    expect(queue.state()).toMatchObject({ running: 3, waiting: 1 });
    expect(second.leave()).toEqual({ waitMs: 40 });
    await clock.advanceAsync(20);
    first.leave();
    await clock.advanceAsync(20);
    third.stop();
    expect(third.leave()).toEqual({ waitMs: 60 });
    const next = enter();
    expect(next.leave()).toEqual({ waitMs: 0 });
  });

  it("starts no timer, and hears of no stop any more once its calls have ended", async () => {
    const { clock, enter } = bench({}, false);
    const calls = [enter(), enter(), enter()];
    expect(clock.pendingTimers).toBe(0);
    await clock.advanceAsync(10);
    for (const call of calls) call.leave();
    expect(clock.pendingTimers).toBe(0);
    expect(calls.map((call) => call.listens)).toEqual([false, false, false]);
  });
});

describe("the switch of a tool queue", () => {
  it("turned on makes the next call wait until enough of those that run have ended", async () => {
    const { clock, bar, queue, enter, settle } = bench({ concurrency: 2 }, false);
    const calls = [enter(), enter(), enter(), enter()];
    await clock.advanceAsync(30);
    bar.enforced = true;
    const next = enter();
    expect(next.waits).toBe(true);
    expect(queue.state()).toMatchObject({ running: 4, waiting: 1 });
    expect(calls[3]?.leave()).toEqual({ waitMs: 30 });
    expect(calls[2]?.leave()).toEqual({ waitMs: 30 });
    await settle();
    expect(next.entrance).toBeUndefined();
    calls[0]?.leave();
    await settle();
    expect(next.entrance?.kind).toBe("place");
  });

  it("turned on forgets the shadows of calls that have ended", async () => {
    const { clock, bar, enter } = bench({}, false);
    const calls = [enter(), enter(), enter()];
    await clock.advanceAsync(100);
    for (const call of calls) call.leave();
    bar.enforced = true;
    expect(enter().waits).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it("turned off lets everybody go who waits, and goes on to measure", async () => {
    const { clock, bar, queue, enter, settle } = bench();
    const [first, second, third] = [enter(), enter(), enter()];
    await clock.advanceAsync(100);
    bar.enforced = false;
    queue.state();
    await settle();
    expect([second.entrance?.kind, third.entrance?.kind]).toEqual(["place", "place"]);
    expect(clock.pendingTimers).toBe(0);
    expect(queue.state()).toMatchObject({ running: 3, waiting: 2 });
    await clock.advanceAsync(50);
    first.leave();
    expect(second.leave()).toEqual({ waitMs: 150 });
    // The second ran for 50 ms, and would have done so after the first.
    expect(third.leave()).toEqual({ waitMs: 200 });
  });

  it("turned off gives the places on that only an enforced queue kept", async () => {
    const { clock, bar, queue, enter, settle } = bench({ maxWaiting: 1 }, false);
    const [first, second] = [enter(), enter(), enter()];
    bar.enforced = true;
    const next = enter();
    // The third still runs, as one of those that an enforced queue would have refused.
    for (const call of [first, second]) call?.leave();
    await settle();
    expect([next.entrance, queue.state().running]).toEqual([undefined, 1]);
    bar.enforced = false;
    await clock.advanceAsync(30);
    expect(queue.state()).toMatchObject({ running: 2, waiting: 0 });
    await settle();
    expect(next.leave()).toEqual({ waitMs: 30 });
  });

  it("turned off and on counts those that run as they are", async () => {
    const { clock, bar, enter } = bench({ concurrency: 1 }, false);
    const [first, second, third] = [enter(), enter(), enter()];
    bar.enforced = true;
    enter({ subject: "ben" });
    bar.enforced = false;
    const [last, brief] = [enter(), enter()];
    await clock.advanceAsync(50);
    // All three hold the one place, and have to end before anybody's turn comes.
    expect(brief.leave()).toEqual({ waitMs: 150 });
    for (const call of [first, second]) expect(call.leave()).toEqual({ waitMs: 0 });
    await clock.advanceAsync(50);
    expect(third.leave()).toEqual({ waitMs: 0 });
    expect(last.leave()).toEqual({ waitMs: 200 });
  });

  it("turned off while nothing happens lets go who would be refused next", async () => {
    const { clock, bar, enter } = bench();
    const [, second] = [enter(), enter()];
    bar.enforced = false;
    await clock.advanceAsync(5000);
    expect(second.entrance?.kind).toBe("place");
  });
});
