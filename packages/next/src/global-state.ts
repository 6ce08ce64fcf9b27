const key = Symbol.for("@sluice/next");

/** What all copies of this package in a process have in common. */
interface GlobalState {
  /** What the application shares, by its names. */
  readonly shared: Map<string, unknown>;
  /** Gateways to be drained; those of modules that hot reload has replaced are let go of. */
  readonly gateways: Set<WeakRef<Drainable>>;
}

export interface Drainable {
  drain(options: { readonly deadlineMs: number }): Promise<void>;
}

/**
 * Next bundles a package more than once: for each kind of route, for `instrumentation.ts`, and again at each
 * hot reload. Module state would be one copy's own.
 */
export function globalState(): GlobalState {
  const holder = globalThis as { [key]?: GlobalState };
  holder[key] ??= { shared: new Map(), gateways: new Set() };
  return holder[key];
}
