import type { Provider } from "@sluice/contract";

/** A provider as people know it. */
export function nameOf(provider: Provider<never>): string {
  return provider.model === undefined ? provider.name : `${provider.name} ${provider.model}`;
}
