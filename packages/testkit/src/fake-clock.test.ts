import { describe, expect, it } from "vitest";
import { FakeClock } from "./fake-clock.ts";

/** A clock and a log of what its timers said, each with the time. */
function observed() {
  const clock = new FakeClock();
  const log: string[] = [];
  const say = (word: string) => () => {
    log.push(`${clock.monotonicMs()} ${word}`);
  };
  return { clock, log, say };
}

describe("a fake clock", () => {
  it("stands still until it is told", () => {
    const clock = new FakeClock({ monotonicMs: 5, wallMs: 1000 });
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([5, 1000]);
    clock.advance(250);
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([255, 1250]);
  });

  it("runs timers in the order of their times, at their times", () => {
    const { clock, log, say } = observed();
    clock.after(30, say("c"));
    clock.after(10, say("a"));
    clock.after(20, say("b"));
    clock.advance(25);
    expect(log).toEqual(["10 a", "20 b"]);
    clock.advance(5);
    expect(log).toEqual(["10 a", "20 b", "30 c"]);
  });

  it("runs timers of one time in the order in which they were started", () => {
    const { clock, log, say } = observed();
    for (const word of ["a", "b", "c"]) clock.after(10, say(word));
    clock.advance(10);
    expect(log).toEqual(["10 a", "10 b", "10 c"]);
  });

  it("runs the timers that timers start, where they are due within the same advance", () => {
    const { clock, log, say } = observed();
    clock.after(10, () => {
      say("first")();
      clock.after(10, say("second"));
      clock.after(100, say("too late"));
    });
    clock.after(15, say("between"));
    clock.advance(50);
    expect(log).toEqual(["10 first", "15 between", "20 second"]);
  });

  it("runs an interval again and again until it is cancelled", () => {
    const { clock, log, say } = observed();
    const cancel = clock.every(10, say("tick"));
    clock.advance(35);
    expect(log).toEqual(["10 tick", "20 tick", "30 tick"]);
    cancel();
    clock.advance(100);
    expect(log).toHaveLength(3);
    expect(clock.pendingTimers).toBe(0);
  });

  it("does not run a timer that another one cancelled at the same time", () => {
    const { clock, log, say } = observed();
    const stops: (() => void)[] = [];
    clock.after(10, () => stops.forEach((stop) => stop()));
    stops.push(clock.after(10, say("cancelled")));
    clock.advance(10);
    expect(log).toEqual([]);
  });

  it("counts the timers that are left", () => {
    const { clock, say } = observed();
    clock.after(10, say("a"));
    const cancel = clock.after(20, say("b"));
    expect(clock.pendingTimers).toBe(2);
    clock.advance(10);
    expect(clock.pendingTimers).toBe(1);
    cancel();
    cancel();
    expect(clock.pendingTimers).toBe(0);
  });

  it("lets the promises of one timer go on before the next timer runs", async () => {
    const { clock, log, say } = observed();
    clock.after(10, () => {
      void Promise.resolve()
        .then(() => undefined)
        .then(say("after the first"));
    });
    clock.after(20, say("second"));
    await clock.advanceAsync(20);
    expect(log).toEqual(["10 after the first", "20 second"]);
  });

  it("lets a promise start a timer that is still due within the same advance", async () => {
    const { clock, log, say } = observed();
    const sleep = (ms: number) =>
      new Promise<void>((resolve) => {
        clock.after(ms, resolve);
      });
    const work = async () => {
      for (const word of ["a", "b", "c"]) {
        await sleep(10);
        say(word)();
      }
    };
    const done = work();
    await clock.advanceAsync(30);
    await done;
    expect(log).toEqual(["10 a", "20 b", "30 c"]);
  });

  it("moves only the wall clock when it is stepped or the machine sleeps", () => {
    const { clock, log, say } = observed();
    const wallMs = clock.wallMs();
    clock.after(10, say("due"));
    clock.stepWall(-3_600_000);
    clock.sleepMachine(60_000);
    expect(clock.wallMs() - wallMs).toBe(-3_540_000);
    expect(clock.monotonicMs()).toBe(0);
    expect(log).toEqual([]);
    clock.advance(10);
    expect(log).toEqual(["10 due"]);
  });

  it("never goes back", () => {
    const clock = new FakeClock();
    expect(() => clock.advance(-1)).toThrow(RangeError);
    expect(() => clock.sleepMachine(-1)).toThrow(RangeError);
    expect(() => clock.advance(Number.NaN)).toThrow(RangeError);
  });

  it("ends an advance in which a timer rearms itself without waiting", () => {
    const clock = new FakeClock();
    const rearm = () => {
      clock.after(0, rearm);
    };
    rearm();
    expect(() => clock.advance(1)).toThrow("rearms itself");
  });

  it("passes through what a throwing timer throws, at that timer's time", () => {
    const clock = new FakeClock();
    clock.after(10, () => {
      throw new Error("planted");
    });
    expect(() => clock.advance(20)).toThrow("planted");
    expect(clock.monotonicMs()).toBe(10);
  });
});
