// #region
import { staticFlags } from "@sluice/guard";
// #endregion
import { createGuard, type Guard } from "@sluice/guard";
import { fakeProvider, sampleAnswer, sampleFeature, valueReply } from "@sluice/testkit";
import type { SampleJob } from "@sluice/testkit";

export function makeFlags(): ReturnType<typeof staticFlags> {
  // #region +
  const flags = staticFlags({ faq_ai: { enabled: true, percent: 20 } });
  flags.set("faq_ai", { percent: 50 });
  // #endregion
  return flags;
}

export function guardWithAllowlist(
  allowlistMode: "require" | "include",
): Guard<SampleJob, unknown, unknown, unknown> {
  return createGuard({
    ...sampleFeature,
    feature: "faq_ai",
    provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
    flags: makeFlags(),
    allowlistMode,
    // #region
    allowlist: ["client-7", { plan: "pro", country: ["nl", "be"] }],
    // #endregion
  });
}
