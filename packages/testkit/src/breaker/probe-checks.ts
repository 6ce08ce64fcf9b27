import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { usual, withBreaker, type CreateBreaker } from "./bench.ts";

export const probeChecks: readonly Check<CreateBreaker>[] = [
  {
    name: "refuses every call while it is open, and lets a probe through afterwards",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, calls, take }) => {
        calls(10, "failure");
        for (let passedMs = 0; passedMs < usual.openMs; passedMs += 500) {
          expect(breaker.tryAcquire()).toBeUndefined();
          expect(breaker.state).toBe("open");
          await advance(500);
        }
        take();
        expect(breaker.state).toBe("half_open");
      }),
  },
  {
    name: "lets no more probes through at once than it may",
    run: (create) =>
      withBreaker(create, async ({ breaker, take, halfOpen }) => {
        await halfOpen();
        const first = take();
        take();
        for (let i = 0; i < 20; i += 1) expect(breaker.tryAcquire()).toBeUndefined();
        first.settle("success");
        take();
        expect(breaker.tryAcquire()).toBeUndefined();
      }),
  },
  {
    name: "closes after several good probes, not after the first",
    run: (create) =>
      withBreaker(create, async ({ breaker, calls, halfOpen }) => {
        await halfOpen();
        calls(1, "success");
        expect(breaker.state).toBe("half_open");
        calls(1, "success");
        expect(breaker.state).toBe("half_open");
        calls(1, "success");
        expect(breaker.state).toBe("closed");
        for (let i = 0; i < 50; i += 1) expect(breaker.tryAcquire()).toBeDefined();
      }),
  },
  {
    name: "opens again for the whole time by one bad probe",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, calls, take, halfOpen }) => {
        await halfOpen();
        calls(1, "failure");
        expect(breaker.state).toBe("open");
        await advance(usual.openMs - 500);
        expect(breaker.tryAcquire()).toBeUndefined();
        await advance(500);
        take();
        expect(breaker.state).toBe("half_open");
      }),
  },
  {
    name: "keeps no good probe from before it opened again",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, calls, halfOpen }) => {
        await halfOpen();
        calls(2, "success");
        calls(1, "failure");
        await advance(usual.openMs);
        calls(2, "success");
        expect(breaker.state).toBe("half_open");
        calls(1, "success");
        expect(breaker.state).toBe("closed");
      }),
  },
  {
    name: "takes a neutral probe for nothing, and its place is free again",
    run: (create) =>
      withBreaker(create, async ({ breaker, take, calls, halfOpen }) => {
        await halfOpen();
        take();
        calls(50, "neutral");
        expect(breaker.state).toBe("half_open");
        take();
        expect(breaker.tryAcquire()).toBeUndefined();
      }),
  },
  {
    name: "closes as one that has seen nothing yet",
    run: (create) =>
      withBreaker(create, async ({ breaker, calls, halfOpen }) => {
        await halfOpen();
        calls(3, "success");
        calls(9, "failure");
        expect(breaker.state).toBe("closed");
        calls(1, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "counts a probe once, however often it is settled",
    run: (create) =>
      withBreaker(create, async ({ breaker, take, halfOpen }) => {
        await halfOpen();
        const good = take();
        for (let i = 0; i < 5; i += 1) good.settle("success");
        expect(breaker.state).toBe("half_open");
        const neutral = take();
        for (let i = 0; i < 5; i += 1) neutral.settle("neutral");
        good.settle("failure");
        neutral.settle("failure");
        expect(breaker.state).toBe("half_open");
        take();
        take();
        expect(breaker.tryAcquire()).toBeUndefined();
      }),
  },
  {
    name: "is not wedged by probes that nobody settles",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, take, calls, halfOpen }) => {
        await halfOpen();
        take();
        take();
        expect(breaker.tryAcquire()).toBeUndefined();
        await advance(usual.openMs * 2);
        calls(3, "success");
        expect(breaker.state).toBe("closed");
      }),
  },
  {
    name: "does not close on one good probe after 12 failures, 4 bad probes, and 6 neutral ones to follow",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance }) => {
        const ends = [
          ...Array.from({ length: 12 + 4 }, () => "failure" as const),
          "success" as const,
          ...Array.from({ length: 6 }, () => "neutral" as const),
        ];
        for (const health of ends) {
          if (breaker.state === "open") await advance(usual.openMs);
          breaker.tryAcquire()?.settle(health);
          expect(breaker.state === "closed" && health !== "failure").toBe(false);
        }
        expect(breaker.state).toBe("half_open");
      }),
  },
];
