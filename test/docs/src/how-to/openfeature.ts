// #region
import { OpenFeature } from "@openfeature/server-sdk";
import { systemClock } from "@sluice/guard";
import { openFeatureFlags, sluiceProvider } from "@sluice/openfeature";
// #endregion
import type { FlagSource } from "@sluice/contract";

export async function askOpenFeature(
  source: FlagSource,
  user: { readonly id: string },
): Promise<boolean> {
  // #region +
  await OpenFeature.setProviderAndWait(
    sluiceProvider({ source, clock: systemClock, features: ["faq_ai"] }),
  );
  const client = OpenFeature.getClient();
  const isOpen = await client.getBooleanValue("faq_ai", false, { targetingKey: user.id });
  // #endregion
  return isOpen;
}

export function flagsOfPlatform(): FlagSource {
  // #region
  const flags = openFeatureFlags({
    client: OpenFeature.getClient(),
    clock: systemClock,
    features: ["faq_ai"],
    killFlag: (feature) => `${feature}_kill`,
    percentFlag: (feature) => `${feature}_percent`,
  });
  // #endregion
  return flags;
}
