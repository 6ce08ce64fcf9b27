import type { EventSink } from "@sluice/contract";
import { createGuard, memoryAdmission, staticFlags, type Guard } from "@sluice/guard";
import { sampleFeature, type FakeProvider, type SampleJob } from "@sluice/testkit";

export function limitedGuard(
  provider: FakeProvider<SampleJob>,
  sink: EventSink,
): Guard<SampleJob, unknown, unknown, unknown> {
  return createGuard({
    ...sampleFeature,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    sinks: [sink],
    // #region
    budget: {
      callsPerRun: 50,
      tokensPerRun: 100_000,
      costNanoUsdPerRun: 2_000_000_000, // two dollars
      maxOutputTokens: 800,
    },
    prices: { "gpt-4o-mini": { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 } },
    // #endregion
    // #region
    admission: memoryAdmission({
      userInFlight: { limit: 2 },
      globalInFlight: { limit: 100 },
      messageRate: { count: 600, perMs: 60_000, burst: 60, mode: "shadow" },
    }),
    // #endregion
    // #region
    tripwire: {
      scope: "process",
      errorRate: { max: 0.3 }, // of at least 20 calls
      latency: { p95CeilingMs: 8000 },
      schemaFailures: { max: 5 },
    },
    // #endregion
  });
}
