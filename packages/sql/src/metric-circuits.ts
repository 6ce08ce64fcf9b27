import type { CircuitSample } from "@sluice/contract";
import { isNamed, type MetricWindow } from "./metric-window.ts";

/** Which circuits are open. */
export interface OpenCircuits {
  readonly size: () => number;
  /** False where the circuit can't be remembered: one too many, or of a name that the table refuses. */
  note(sample: CircuitSample): boolean;
  /** Adds open time to each open circuit's series of a window; gives back how many have none there. */
  addOpenMs(window: MetricWindow, ms: number): number;
}

/** Remembers at most `max` of them. */
export function openCircuits(max: number): OpenCircuits {
  const byFeature = new Map<string, Set<string>>();
  let size = 0;

  const open = (feature: string, provider: string): boolean => {
    const providers = byFeature.get(feature);
    if (providers?.has(provider) === true) return true;
    if (size >= max || provider === "" || !isNamed(feature, "ai", provider)) return false;
    size += 1;
    if (providers === undefined) byFeature.set(feature, new Set([provider]));
    else providers.add(provider);
    return true;
  };

  const shut = (feature: string, provider: string): void => {
    const providers = byFeature.get(feature);
    if (providers?.delete(provider) !== true) return;
    size -= 1;
    if (providers.size === 0) byFeature.delete(feature);
  };

  return {
    size: () => size,
    note({ feature, provider, isOpen }) {
      if (isOpen) return open(feature, provider);
      shut(feature, provider);
      return true;
    },
    addOpenMs(window, ms) {
      let without = 0;
      for (const [feature, providers] of byFeature) {
        for (const provider of providers) {
          const series = window.seriesOf(feature, "ai", provider);
          if (series === undefined) without += 1;
          else series.circuitOpenMs += ms;
        }
      }
      return without;
    },
  };
}
