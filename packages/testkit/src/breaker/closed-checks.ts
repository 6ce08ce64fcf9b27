import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { usual, withBreaker, type CreateBreaker } from "./bench.ts";

export const closedChecks: readonly Check<CreateBreaker>[] = [
  {
    name: "opens when all of as many calls as it needs have failed, and not before",
    run: (create) =>
      withBreaker(create, ({ breaker, calls }) => {
        expect(breaker.state).toBe("closed");
        calls(9, "failure");
        expect(breaker.state).toBe("closed");
        calls(1, "failure");
        expect(breaker.state).toBe("open");
        expect(breaker.tryAcquire()).toBeUndefined();
      }),
  },
  {
    name: "stays closed below its error rate, however many calls fail",
    run: (create) =>
      withBreaker(create, ({ breaker, calls }) => {
        for (let i = 0; i < 50; i += 1) {
          calls(3, "success");
          calls(2, "failure");
        }
        expect(breaker.state).toBe("closed");
      }),
  },
  {
    name: "opens above its error rate although some calls succeed",
    run: (create) =>
      withBreaker(create, ({ breaker, calls }) => {
        calls(4, "success");
        calls(6, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "counts no neutral outcome towards the calls that it needs",
    run: (create) =>
      withBreaker(create, ({ breaker, calls }) => {
        calls(9, "failure");
        calls(50, "neutral");
        expect(breaker.state).toBe("closed");
        calls(1, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "dilutes its error rate by no neutral outcome",
    run: (create) =>
      withBreaker(create, ({ breaker, calls }) => {
        calls(100, "neutral");
        calls(10, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "dilutes its error rate by no permit that is not settled yet",
    run: (create) =>
      withBreaker(create, ({ breaker, take, calls }) => {
        for (let i = 0; i < 100; i += 1) take();
        calls(10, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "dilutes its error rate by no ask that it refused",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, calls, halfOpen }) => {
        await halfOpen();
        calls(3, "success");
        expect(breaker.state).toBe("closed");
        calls(10, "failure");
        for (let i = 0; i < 500; i += 1) expect(breaker.tryAcquire()).toBeUndefined();
        await advance(usual.openMs);
        calls(3, "success");
        expect(breaker.state).toBe("closed");
        calls(10, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "forgets outcomes that are older than its window",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, calls }) => {
        calls(9, "failure");
        await advance(usual.windowMs * 2);
        calls(9, "failure");
        expect(breaker.state).toBe("closed");
        calls(1, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "lets no old success hide that everything fails now",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, calls }) => {
        calls(1000, "success");
        await advance(usual.windowMs * 2);
        calls(10, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "counts calls that take longer than its window when they are settled",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, take }) => {
        const permits = Array.from({ length: 10 }, take);
        await advance(usual.windowMs * 3);
        for (const permit of permits) permit.settle("failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "counts a permit once, however often it is settled",
    run: (create) =>
      withBreaker(create, ({ breaker, take, calls }) => {
        for (let i = 0; i < 9; i += 1) {
          const permit = take();
          for (let again = 0; again < 3; again += 1) permit.settle("failure");
        }
        expect(breaker.state).toBe("closed");
        const permit = take();
        permit.settle("neutral");
        permit.settle("failure");
        expect(breaker.state).toBe("closed");
        calls(1, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
];
