import type { UpstreamAnswer } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { ask } from "./ask.ts";
import { piecesOf } from "./chat-wire.ts";
import { modes, type Mode } from "./expectations.ts";
import { limitFor, promptlyMs, shortMs } from "./fault-cell.ts";
import { faults, type Fault, type FaultName } from "./faults.ts";
import { startGuardBench, type GuardBench, type GuardBenchOptions } from "./guard-bench.ts";
import { watchProcess } from "./watch-process.ts";

watchProcess();

const breaker = { minCalls: 1, openMs: 60_000 } as const;
const request = { subject: "ann", run: "run" };
const hang: UpstreamAnswer = () => undefined;
const unavailable: UpstreamAnswer = (res) => void res.writeHead(503).end();

async function withPair(
  options: GuardBenchOptions,
  test: (bench: GuardBench) => Promise<void>,
): Promise<void> {
  const bench = await startGuardBench({ route: "pair", breaker, ...options });
  try {
    await test(bench);
    expect(bench.guard.inFlight).toBe(0);
    await bench.expectLetGo();
  } finally {
    await bench.close();
  }
}

/** The second's fault, what the request fails with, and what the second's breaker is after it. */
const sick: readonly [fault: FaultName, codes: Readonly<Record<Mode, string>>, state: string][] = [
  ["cut before content", all("STREAM_CUT"), "open"],
  ["cut after content", all("STREAM_CUT"), "open"],
  ["hang before the first byte", all("PROVIDER_TIMEOUT"), "open"],
  ["hang after three chunks", { ...all("STREAM_STALLED"), generate: "PROVIDER_TIMEOUT" }, "open"],
  ["error event after content", all("PROVIDER_UNAVAILABLE"), "open"],
  ["malformed frame after content", all("PROVIDER_UNAVAILABLE"), "open"],
  ["connection reset", all("PROVIDER_UNAVAILABLE"), "open"],
  ["429 with retry-after 30", all("PROVIDER_RATE_LIMITED"), "closed"],
];

function all(code: string): Readonly<Record<Mode, string>> {
  return { generate: code, "text stream": code, "structured stream": code };
}

const cells = sick.flatMap(([fault, codes, state]) =>
  modes.map((mode) => ({ fault, mode, code: codes[mode], state })),
);

describe.concurrent("a pair of which both are sick", { timeout: 20_000 }, () => {
  it.for(cells)("503, then $fault × $mode: $code", async ({ fault, mode, code, state }) => {
    const { answer, pieces }: Fault = faults[fault];
    await withPair({ mode, ...limitFor(mode, faults[fault]) }, async (bench) => {
      const seen = Promise.withResolvers<void>();
      if (mode !== "text stream" || pieces === 0) seen.resolve();
      bench.first.answerWith(unavailable);
      bench.second.answerWith((res, asked) => answer?.(res, asked, seen.promise));
      const { outcome, events, text } = await ask(bench, mode, request, (count) => {
        if (count === pieces) seen.resolve();
      });
      // The last one's failure is the request's; what left came from the last one alone.
      expect(outcome).toMatchObject({
        status: "FAILED",
        path: "ai",
        failure: { code },
        value: { status: "FAILED", code },
        record: {
          selectedProvider: "first",
          attempts: [
            { provider: "first", code: "PROVIDER_UNAVAILABLE", httpStatus: 503 },
            { provider: "second", code },
          ],
        },
      });
      const left = mode === "text stream" ? piecesOf("second", false).slice(0, pieces) : [];
      expect(text).toBe(left.join(""));
      expect(events.filter((type) => type !== "text-delta")).toEqual(
        mode === "generate" ? [] : ["failed"],
      );
      expect(bench.first.requests).toHaveLength(1);
      expect(bench.second.requests).toHaveLength(1);
      expect(bench.health()).toMatchObject({
        first: { breaker: "open" },
        second: { breaker: state },
      });
      expect(bench.guard.budget.use("run")).toMatchObject({
        calls: 2,
        tokens: (fault.startsWith("429") ? 1 : 2) * bench.reservedTokens,
      });
    });
  });

  it.for(modes)("%s: hangs end at the request's total time, whoever hangs", async (mode) => {
    const options = {
      mode,
      gapMs: shortMs,
      attemptMs: 2 * shortMs,
      totalMs: 3 * shortMs,
      maxRetries: 1,
    } as const;
    const lenient = { minCalls: 100 } as const;
    await withPair({ ...options, breaker: lenient }, async (bench) => {
      for (let call = 0; call < 9; call += 1) await ask(bench, mode, { subject: "ann" });
      const before = bench.first.requests.length;
      bench.first.answerWith(hang);
      bench.second.answerWith(hang);
      const { outcome, ms } = await ask(bench, mode, request);
      expect(outcome).toMatchObject({ failure: { code: "PROVIDER_TIMEOUT" } });
      // All four attempts would take longer than that.
      expect(ms).toBeGreaterThan(3 * shortMs - 2);
      expect(ms).toBeLessThan(promptlyMs);
      const calls = bench.first.requests.length - before + bench.second.requests.length;
      expect(calls).toBe(mode === "generate" ? 2 : 3);
    });
  });

  it.for(modes)("%s: who leaves while a 429 is waited out is let go at once", async (mode) => {
    const options = { mode, maxRetries: 1, route: "one" } as const;
    await withPair(options, async (bench) => {
      for (let call = 0; call < 5; call += 1) await ask(bench, mode, { subject: "ann" });
      const controller = new AbortController();
      bench.first.answerWith((res) => {
        res.once("close", () => setImmediate(() => controller.abort()));
        res.writeHead(429, { "retry-after": "4", connection: "close" }).end();
      });
      const { outcome, ms } = await ask(bench, mode, { ...request, signal: controller.signal });
      expect(outcome).toMatchObject({ failure: { code: "CLIENT_ABORTED" } });
      expect(ms).toBeLessThan(promptlyMs);
      expect(bench.first.requests).toHaveLength(6);
    });
  });
});
