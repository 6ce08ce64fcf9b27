import type { UpstreamAnswer } from "@sluice/testkit";
import { describe, expect, it, vi } from "vitest";
import { ask } from "./ask.ts";
import { wellAnswer as well } from "./chat-wire.ts";
import { modes, type Mode } from "./expectations.ts";
import { startGuardBench, type GuardBench, type GuardBenchOptions } from "./guard-bench.ts";
import { watchProcess } from "./watch-process.ts";

watchProcess();

const status =
  (code: number, headers: Readonly<Record<string, string>> = {}): UpstreamAnswer =>
  (res) =>
    void res.writeHead(code, headers).end();
/** It names its time, so that a test has not to sit out ours. */
const busy = status(429, { "retry-after-ms": "20" });

const withBench = async (
  options: GuardBenchOptions,
  test: (bench: GuardBench) => Promise<void>,
): Promise<void> => {
  const bench = await startGuardBench({ inFlight: 100, ...options });
  try {
    await test(bench);
  } finally {
    await bench.close();
  }
};

const stateOf = (bench: GuardBench): string => bench.health()["first"]?.breaker ?? "none";

/** Until a call may be made again: no longer open, no longer cooling down. */
const untilCallable = (bench: GuardBench): Promise<void> =>
  vi.waitFor(
    () => {
      expect(stateOf(bench)).not.toBe("open");
      expect(bench.health()["first"]?.cools).toBe(false);
    },
    { interval: 5, timeout: 5000 },
  );

/** Asks until a call has arrived, and says how the request ended. */
async function call(bench: GuardBench, mode: Mode, answer: UpstreamAnswer): Promise<string> {
  await untilCallable(bench);
  const before = bench.first.requests.length;
  bench.first.answerWith(answer);
  const { outcome } = await ask(bench, mode, { subject: "ann" });
  expect(bench.first.requests).toHaveLength(before + 1);
  return outcome.status;
}

const times = <T>(count: number, value: T): readonly T[] =>
  Array.from({ length: count }, () => value);

describe.concurrent("a circuit breaker over sockets", { timeout: 30_000 }, () => {
  it.for(modes)(
    "%s: 12 × 502, 4 × 503, one pass, 6 × 429 do not close it on the one pass",
    async (mode) => {
      await withBench({ mode, breaker: { openMs: 30 } }, async (bench) => {
        for (const answer of times(10, status(502))) {
          expect(stateOf(bench)).toBe("closed");
          await call(bench, mode, answer);
        }
        // The defaults: ten calls, of which more than half failed.
        expect(stateOf(bench)).not.toBe("closed");
        for (const answer of [...times(2, status(502)), ...times(4, status(503))]) {
          await call(bench, mode, answer);
          expect(stateOf(bench)).not.toBe("closed");
        }
        expect(await call(bench, mode, well)).toBe("SUCCEEDED");
        expect(stateOf(bench)).toBe("half_open");
        for (const answer of times(6, busy)) {
          await call(bench, mode, answer);
          // Neither well nor ill: it stays as it is.
          expect(stateOf(bench)).toBe("half_open");
        }
        const passes: string[] = [];
        while (stateOf(bench) !== "closed") passes.push(await call(bench, mode, well));
        expect(passes).toEqual(times(passes.length, "SUCCEEDED"));
        // Three in a row with the one before.
        expect(passes.length).toBeGreaterThanOrEqual(2);
        expect(passes.length).toBeLessThanOrEqual(3);
      });
    },
  );

  it.for(modes)("%s: good probes before a bad one count for nothing", async (mode) => {
    await withBench({ mode, breaker: { openMs: 30, minCalls: 1 } }, async (bench) => {
      await call(bench, mode, status(500));
      await call(bench, mode, well);
      await call(bench, mode, well);
      await call(bench, mode, status(500));
      for (const answer of times(2, well)) {
        await call(bench, mode, answer);
        expect(stateOf(bench)).toBe("half_open");
      }
      await call(bench, mode, well);
      expect(stateOf(bench)).toBe("closed");
    });
  });

  it.for(modes)("%s: one probe at a time, whoever asks", async (mode) => {
    await withBench({ mode, breaker: { openMs: 30, minCalls: 1 } }, async (bench) => {
      await call(bench, mode, status(500));
      await untilCallable(bench);
      const go = Promise.withResolvers<void>();
      bench.first.answerWith((res, request) => void go.promise.then(() => well(res, request)));
      const before = bench.first.requests.length;
      const asked = times(20, undefined).map((_, index) =>
        ask(bench, mode, { subject: `subject ${index}` }),
      );
      await bench.first.received(before + 1);
      // All but the probe have ended without a call, while it is still out.
      await vi.waitFor(() => expect(bench.guard.inFlight).toBe(1));
      go.resolve();
      const statuses = (await Promise.all(asked)).map(({ outcome }) => outcome.status);
      expect(statuses.filter((ended) => ended === "SUCCEEDED")).toHaveLength(1);
      expect(statuses.filter((ended) => ended === "STUBBED")).toHaveLength(19);
      expect(bench.first.requests).toHaveLength(before + 1);
      expect(stateOf(bench)).toBe("half_open");
    });
  });

  it.for<[mode: Mode, answer: UpstreamAnswer]>(
    (["text stream", "structured stream"] as const).map((mode) => [
      mode,
      (res, request) => {
        // A good head and good content: only the end says that it was cut.
        const cutShort = res.write.bind(res);
        res.end = ((): typeof res => {
          cutShort(": no end\n\n", () => res.socket?.destroy());
          return res;
        }) as typeof res.end;
        well(res, request);
      },
    ]),
  )("%s: a stream that is cut after a good head is a failure", async ([mode, answer]) => {
    await withBench({ mode, breaker: { openMs: 60_000, minCalls: 3 } }, async (bench) => {
      for (let count = 0; count < 3; count += 1) await call(bench, mode, answer);
      expect(stateOf(bench)).toBe("open");
    });
  });
});

describe.concurrent("a storm of 429s", { timeout: 30_000 }, () => {
  it.for(modes)("%s: cools down and never opens, unlike one of 502s", async (mode) => {
    await withBench({ mode }, async (bench) => {
      const storm = async (answer: UpstreamAnswer, count = 30): Promise<readonly string[]> => {
        bench.first.answerWith(answer);
        const all = await Promise.all(
          times(count, undefined).map((_, index) =>
            ask(bench, mode, { subject: `subject ${index}` }),
          ),
        );
        return all.map(({ outcome }) => outcome.status);
      };
      expect(await storm(status(429, { "retry-after-ms": "400" }))).toEqual(times(30, "FAILED"));
      expect(bench.health()["first"]).toEqual({ breaker: "closed", cools: true });
      expect(bench.first.requests).toHaveLength(30);
      // Left alone while it cools down: nobody calls, everybody gets the safe path.
      expect(await storm(well)).toEqual(times(30, "STUBBED"));
      expect(bench.first.requests).toHaveLength(30);
      // Then all may call again at once: there is nothing to probe.
      await untilCallable(bench);
      expect(await storm(well, 10)).toEqual(times(10, "SUCCEEDED"));
      expect(bench.health()["first"]).toEqual({ breaker: "closed", cools: false });

      expect(await storm(status(502))).toEqual(times(30, "FAILED"));
      expect(bench.health()["first"]).toEqual({ breaker: "open", cools: false });
      expect(bench.guard.inFlight).toBe(0);
    });
  });

  it("that asks for longer each time is left alone for as long as it asks", async () => {
    await withBench({ mode: "generate" }, async (bench) => {
      for (const waitMs of [50, 100, 150]) {
        await untilCallable(bench);
        const startedMs = performance.now();
        await call(bench, "generate", status(429, { "retry-after-ms": `${waitMs}` }));
        await untilCallable(bench);
        expect(performance.now() - startedMs).toBeGreaterThan(waitMs - 2);
      }
      expect(stateOf(bench)).toBe("closed");
    });
  });
});

describe.concurrent("two providers", { timeout: 30_000 }, () => {
  it.for(modes)("%s: fail independently of each other", async (mode) => {
    const options = { mode, route: "pair", breaker: { openMs: 60_000, minCalls: 3 } } as const;
    await withBench(options, async (bench) => {
      const answeredBy = async (): Promise<string | undefined> => {
        const { outcome } = await ask(bench, mode, { subject: "ann" });
        const { fallbackProvider, selectedProvider } = outcome.record;
        return outcome.status === "SUCCEEDED"
          ? (fallbackProvider ?? selectedProvider)
          : outcome.status;
      };
      bench.first.answerWith(status(502));
      for (let count = 0; count < 5; count += 1) expect(await answeredBy()).toBe("second");
      expect(bench.first.requests).toHaveLength(3);
      expect(bench.second.requests).toHaveLength(5);
      expect(bench.health()).toEqual({
        first: { breaker: "open", cools: false },
        second: { breaker: "closed", cools: false },
      });
      // What the second asks for is no affair of the first.
      bench.second.answerWith(status(429, { "retry-after": "60" }));
      expect(await answeredBy()).toBe("FAILED");
      expect(bench.health()).toEqual({
        first: { breaker: "open", cools: false },
        second: { breaker: "closed", cools: true },
      });
      expect(await answeredBy()).toBe("STUBBED");
      expect(bench.first.requests).toHaveLength(3);
      expect(bench.second.requests).toHaveLength(6);
    });
  });

  it.for(modes)("%s: the second's failures do not reach the first", async (mode) => {
    const options = { mode, route: "pair", breaker: { openMs: 60_000, minCalls: 3 } } as const;
    await withBench(options, async (bench) => {
      const busyOnce: UpstreamAnswer = (res, request) => {
        bench.first.answerWith(well);
        busy(res, request);
      };
      bench.second.answerWith(status(503));
      for (let count = 0; count < 3; count += 1) {
        await untilCallable(bench);
        bench.first.answerWith(busyOnce);
        const { outcome } = await ask(bench, mode, { subject: "ann" });
        expect(outcome.status).toBe("FAILED");
      }
      expect(bench.health()["second"]).toMatchObject({ breaker: "open" });
      await untilCallable(bench);
      const { outcome } = await ask(bench, mode, { subject: "ann" });
      expect(outcome).toMatchObject({
        status: "SUCCEEDED",
        record: { selectedProvider: "first", fallbackUsed: false },
      });
      expect(bench.health()["first"]).toEqual({ breaker: "closed", cools: false });
    });
  });
});
