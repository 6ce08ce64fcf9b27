import { FakeClock } from "@sluice/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { createStoreBreaker, type StoreBreaker } from "./store-breaker.ts";

describe("whether a store is worth asking", () => {
  let clock: FakeClock;
  let changes: string[];
  let breaker: StoreBreaker;
  beforeEach(() => {
    clock = new FakeClock();
    changes = [];
    breaker = createStoreBreaker(clock, (isLost) => changes.push(isLost ? "lost" : "found"));
  });

  const missTimes = (times: number): void => {
    for (let n = 0; n < times; n += 1) {
      breaker.missed();
      clock.advance(10);
    }
  };

  it("is not, for a while, after three misses in a row, told once", () => {
    missTimes(2);
    breaker.answered();
    missTimes(2);
    expect(breaker.allows()).toBe(true);
    missTimes(2);
    expect(breaker.allows()).toBe(false);
    expect(changes).toEqual(["lost"]);
  });

  it("is found out by one request after a second, then after twice as long each time, up to ten", () => {
    missTimes(3);
    // The third miss opened it, ten milliseconds ago.
    let waitedMs = 10;
    for (const pauseMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
      clock.advance(pauseMs - waitedMs - 1);
      expect(breaker.allows()).toBe(false);
      clock.advance(1);
      expect(breaker.allows()).toBe(true);
      expect(breaker.allows()).toBe(false);
      breaker.missed();
      waitedMs = 0;
    }
    clock.advance(10_000);
    expect(breaker.allows()).toBe(true);
    breaker.answered();
    expect(breaker.allows()).toBe(true);
    expect(changes).toEqual(["lost", "found"]);
  });
});
