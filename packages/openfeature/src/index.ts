export { openFeatureFlags, type OpenFeatureFlagsOptions } from "./open-feature-flags.ts";
export { sluiceProvider, type SluiceProviderOptions } from "./sluice-provider.ts";
