import { recordingSink, startUpstream, type RecordingSink, type Upstream } from "@sluice/testkit";
import { expect, vi } from "vitest";
import { wellAnswer } from "./chat-wire.ts";
import { createFeature, type Feature, type FeatureOptions } from "./feature-guard.ts";

export interface GuardBenchOptions extends Omit<FeatureOptions, "urls" | "sink"> {
  /** `one`, the default: `first` alone; `pair`: `second` may stand in. */
  readonly route?: "one" | "pair";
}

/** A guard over real sockets, with two upstreams that are well until told otherwise. */
export interface GuardBench extends Feature {
  readonly first: Upstream;
  readonly second: Upstream;
  readonly record: RecordingSink;
  /** Breaker and cool-down of each provider, by its name. */
  health(): Readonly<Record<string, { readonly breaker: string; readonly cools: boolean }>>;
  /** Holds when no socket is left open: each answer complete, or let go of. */
  expectLetGo(): Promise<void>;
  close(): Promise<void>;
}

export async function startGuardBench(options: GuardBenchOptions): Promise<GuardBench> {
  const { route = "one", ...rest } = options;
  const [first, second] = await Promise.all([startUpstream(wellAnswer), startUpstream(wellAnswer)]);
  const urls = route === "one" ? ([first.url] as const) : ([first.url, second.url] as const);
  const record = recordingSink();
  const feature = createFeature({ ...rest, urls, sink: record.sink });
  const { guard } = feature;
  return {
    ...feature,
    first,
    second,
    record,
    health: () =>
      Object.fromEntries(
        guard
          .describe()
          .providers.map(({ provider, breaker = "none", coolingMs }) => [
            provider,
            { breaker, cools: coolingMs !== undefined },
          ]),
      ),
    expectLetGo: () =>
      vi.waitFor(() => expect([first.open, second.open], "answers left open").toEqual([0, 0]), {
        timeout: 2000,
        interval: 5,
      }),
    async close() {
      guard.close();
      await Promise.all([first.close(), second.close()]);
    },
  };
}
