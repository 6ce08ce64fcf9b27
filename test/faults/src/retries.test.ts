import { describe, expect, it } from "vitest";
import { ask } from "./ask.ts";
import { modes } from "./expectations.ts";
import { startGuardBench } from "./guard-bench.ts";
import { watchProcess } from "./watch-process.ts";

watchProcess();

describe.concurrent("a retry", { timeout: 20_000 }, () => {
  it.for(modes)("%s: is not made where no calls before have earned it", async (mode) => {
    const bench = await startGuardBench({ mode, maxRetries: 1 });
    try {
      bench.first.answerWith((res) => void res.writeHead(502).end());
      const { outcome } = await ask(bench, mode, { subject: "ann" });
      expect(bench.first.requests).toHaveLength(1);
      expect(outcome).toMatchObject({
        failure: { code: "PROVIDER_UNAVAILABLE" },
        record: { skipped: [{ provider: "first", why: "retry_budget" }] },
      });
    } finally {
      await bench.close();
    }
  });

  it.for(modes)("%s: comes not sooner than a 429 asks for", async (mode) => {
    const bench = await startGuardBench({ mode, maxRetries: 1 });
    try {
      for (let call = 0; call < 5; call += 1) await ask(bench, mode, { subject: "ann" });
      const arrivedMs: number[] = [];
      bench.first.answerWith((res) => {
        arrivedMs.push(performance.now());
        res.setHeader("retry-after-ms", "300");
        res.writeHead(429).end();
      });
      await ask(bench, mode, { subject: "ann" });
      const [firstMs = 0, secondMs = 0] = arrivedMs;
      // A timer of Node may be early by less than a millisecond.
      expect(secondMs - firstMs).toBeGreaterThan(298);
    } finally {
      await bench.close();
    }
  });
});
