import type { Clock, Provider, ProviderConfig, RouteSource } from "@sluice/contract";
import type { Events } from "./events.ts";
import type { GuardSettings } from "./guard-settings.ts";
import { alwaysWell, createHealth, type Health } from "./health.ts";
import { nameOf } from "./provider-name.ts";
import { notReadyOf } from "./provider-readiness.ts";
import { createRoute, type Route } from "./route.ts";
import { opossumBreaker } from "./stores/opossum-breaker.ts";

/**
 * The route of a guard, with the health of each provider; what operators should hear of is told.
 * @throws ConfigError
 */
export function wireRoute<In>(parts: {
  readonly settings: GuardSettings;
  readonly providers: readonly Provider<In>[];
  /** Undefined: the one provider is the one candidate. */
  readonly candidates: readonly ProviderConfig[] | RouteSource | undefined;
  readonly failover: () => boolean;
  readonly clock: Clock;
  readonly events: Events;
}): Route<In> {
  const { settings, providers, candidates, failover, clock, events } = parts;

  const healthFor = (provider: Provider<In>): Health => {
    if (settings.gates["circuit-breaker"].mode === "off") return alwaysWell;
    const breaker = opossumBreaker({ ...settings.breaker, clock });
    breaker.onStateChange((from, to) => {
      events.alert({
        code: "BREAKER_STATE",
        message: `the circuit breaker of ${nameOf(provider)} went from ${from} to ${to}`,
      });
      const isOpen = to !== "closed";
      // From half-open back to open nothing changed for who counts; a shadow's circuits are its own.
      if (isOpen === (from !== "closed") || events.isShadow) return;
      events.sample(() => ({
        kind: "circuit",
        feature: settings.feature,
        provider: provider.name,
        isOpen,
      }));
    });
    return createHealth({
      breaker,
      clock,
      onCoolDown: (ms, code) =>
        events.alert({
          code: "PROVIDER_COOLING_DOWN",
          message: `${nameOf(provider)} is left alone for ${Math.ceil(ms)} ms after ${code}`,
          figures: { ms: Math.ceil(ms) },
        }),
    });
  };
  const health = new Map(providers.map((provider) => [provider, healthFor(provider)]));

  for (const provider of providers) {
    const notReady = notReadyOf(provider);
    if (notReady === undefined) continue;
    events.alert({
      code: "PROVIDER_NOT_READY",
      message: `${nameOf(provider)} can't be called, the safe path serves: set ${notReady.variable} to ${notReady.expected}`,
      variable: notReady.variable,
    });
  }

  return createRoute<In>({
    source: toSource(candidates, providers),
    environment: settings.route?.environment ?? "prod",
    strategy: settings.route?.strategy ?? "default",
    providers,
    healthOf: (provider) => health.get(provider) ?? alwaysWell,
    prices: settings.prices,
    timeoutMs: settings.timeoutMs,
    maxRetries: settings.retry.maxRetries,
    failover,
    salt: settings.feature,
    events,
  });
}

function toSource<In>(
  candidates: readonly ProviderConfig[] | RouteSource | undefined,
  providers: readonly Provider<In>[],
): RouteSource {
  if (candidates !== undefined && "read" in candidates) return candidates;
  const listed = candidates ?? providers.map(({ name }) => ({ provider: name, isDefault: true }));
  return { name: "static", read: () => listed };
}
