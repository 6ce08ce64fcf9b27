import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { usual, withBreaker, type CreateBreaker } from "./bench.ts";

export const staleChecks: readonly Check<CreateBreaker>[] = [
  {
    name: "drops a settlement of a call from before it opened, while it is open",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, take, calls }) => {
        const old = Array.from({ length: 20 }, take);
        calls(10, "failure");
        await advance(usual.openMs / 2);
        for (const [i, permit] of old.entries()) permit.settle(i % 2 === 0 ? "success" : "failure");
        expect(breaker.state).toBe("open");
        await advance(usual.openMs / 2);
        expect(breaker.tryAcquire()).toBeDefined();
      }),
  },
  {
    name: "drops a settlement of a call from before it opened, while it is half-open",
    run: (create) =>
      withBreaker(create, async ({ breaker, take, halfOpen }) => {
        const old = Array.from({ length: 20 }, take);
        await halfOpen();
        take();
        take();
        for (const permit of old.slice(0, 10)) permit.settle("success");
        for (const permit of old.slice(10, 15)) permit.settle("neutral");
        for (const permit of old.slice(15)) permit.settle("failure");
        expect(breaker.state).toBe("half_open");
        expect(breaker.tryAcquire()).toBeUndefined();
      }),
  },
  {
    name: "drops a settlement of a call from before it opened, after it closed again",
    run: (create) =>
      withBreaker(create, async ({ breaker, take, calls, halfOpen }) => {
        const old = Array.from({ length: 20 }, take);
        await halfOpen();
        calls(3, "success");
        for (const permit of old) permit.settle("failure");
        expect(breaker.state).toBe("closed");
        calls(9, "failure");
        expect(breaker.state).toBe("closed");
        calls(1, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
  {
    name: "drops a settlement of a probe from before it opened again, and keeps no place for it",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, take, calls, halfOpen }) => {
        await halfOpen();
        const old = take();
        calls(1, "failure");
        await advance(usual.openMs);
        take();
        take();
        expect(breaker.tryAcquire()).toBeUndefined();
        old.settle("success");
        expect(breaker.tryAcquire()).toBeUndefined();
        expect(breaker.state).toBe("half_open");
      }),
  },
  {
    name: "is neither closed nor opened by a probe from before it opened again",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, take, calls, halfOpen }) => {
        await halfOpen();
        const good = take();
        calls(1, "failure");
        good.settle("success");
        await advance(usual.openMs);
        calls(2, "success");
        expect(breaker.state).toBe("half_open");
        const bad = take();
        calls(1, "failure");
        await advance(usual.openMs);
        take();
        bad.settle("failure");
        expect(breaker.state).toBe("half_open");
      }),
  },
  {
    name: "drops a settlement of a probe after the circuit closed",
    run: (create) =>
      withBreaker(create, async ({ breaker, take, calls, halfOpen }) => {
        await halfOpen();
        const late = take();
        calls(3, "success");
        expect(breaker.state).toBe("closed");
        late.settle("failure");
        calls(9, "failure");
        expect(breaker.state).toBe("closed");
      }),
  },
];
