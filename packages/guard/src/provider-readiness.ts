import type { Provider, ProviderNotReady } from "@sluice/contract";

const throws: ProviderNotReady = {
  variable: "provider.notReady",
  expected: "a function that does not throw",
};

/** What keeps the provider from being called. One that throws when it is asked can't be called either. */
export function notReadyOf(provider: Provider<never>): ProviderNotReady | undefined {
  try {
    return provider.notReady?.();
  } catch {
    return throws;
  }
}
