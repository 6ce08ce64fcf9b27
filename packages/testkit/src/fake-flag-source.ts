import {
  switchNames,
  type Clock,
  type Confirmation,
  type FeatureFlags,
  type FlagSource,
  type Switches,
} from "@sluice/contract";

export interface FakeFlagSource extends FlagSource {
  /** Changes what is read, and tells listeners unless `silently`. */
  set(change: Partial<FeatureFlags>, how?: "silently"): void;
  /** Confirms the flags now; until then their age grows. */
  confirm(): void;
}

const noSwitch = Object.fromEntries(switchNames.map((name) => [name, false])) as Switches;

/** Flags behind a network: they grow stale unless a test confirms them. Open to everybody at first. */
export function fakeFlagSource(options: {
  readonly clock: Clock;
  readonly flags?: Partial<FeatureFlags>;
}): FakeFlagSource {
  const { clock } = options;
  const listeners = new Set<() => void>();
  const now = (): Confirmation => ({ monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() });
  let confirmed = now();
  let flags: FeatureFlags = {
    enabled: true,
    killed: false,
    percent: 100,
    allowlist: undefined,
    salt: "salt",
    version: undefined,
    problems: [],
    ...options.flags,
  };
  return {
    name: "fake",
    read: () => flags,
    readSwitches: () => ({ switches: noSwitch, problems: [] }),
    confirmedAt: () => confirmed,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => listeners.clear(),
    set(change, how) {
      flags = { ...flags, ...change };
      if (how === undefined) for (const listener of listeners) listener();
    },
    confirm() {
      confirmed = now();
    },
  };
}
