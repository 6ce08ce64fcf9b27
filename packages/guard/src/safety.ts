import type { Clock, FeatureFlags, FlagSource } from "@sluice/contract";
import {
  compileAllowlist,
  flagAgeMs,
  flagsOf,
  shutBy,
  type AllowlistMatcher,
  type Shut,
} from "@sluice/policy";
import type { Events } from "./events.ts";

/** Flags in the form the gates ask them; compiled once per version. */
export interface CompiledFlags {
  readonly flags: FeatureFlags;
  /** Over the source's list of subject ids; undefined where it has no opinion. */
  readonly listed: AllowlistMatcher | undefined;
}

/** What can shut the feature, and nothing can switch off. */
export interface Safety {
  current(): CompiledFlags;
  /** Why nobody may pass now. Asked before the gates, before each attempt, and for calls in flight. */
  shut(by?: CompiledFlags): Shut | undefined;
  kill(): void;
  restore(): void;
  trip(): void;
  resetTrip(): void;
}

export function createSafety(options: {
  readonly feature: string;
  readonly source: FlagSource;
  readonly maxStalenessMs: number;
  readonly clock: Clock;
  readonly events: Events;
}): Safety {
  const { feature, source, maxStalenessMs, clock, events } = options;
  const local = { killed: false, tripped: false };
  const unreadable = flagsOf(feature, {});
  /** Variables whose malformed value was already told of. */
  let malformed = new Set<string>();
  let compiled = compile(read());

  const current = (): CompiledFlags => {
    const flags = read();
    if (flags !== compiled.flags) compiled = compile(flags);
    return compiled;
  };

  function onSourceThrow(): void {
    events.alertOnce("flags", {
      code: "DEPENDENCY_THREW",
      message: "the flag source threw; the feature is closed",
    });
  }

  function read(): FeatureFlags {
    try {
      return source.read(feature);
    } catch {
      onSourceThrow();
      return unreadable;
    }
  }

  function compile(flags: FeatureFlags): CompiledFlags {
    const told = malformed;
    malformed = new Set(flags.problems.map((problem) => problem.variable));
    for (const problem of flags.problems) {
      if (told.has(problem.variable)) continue;
      events.alert({
        code: "FLAG_MALFORMED",
        message: `${problem.variable} is malformed: expected ${problem.expected}; it is read as ${problem.readAs}`,
        variable: problem.variable,
      });
    }
    const { allowlist } = flags;
    return { flags, listed: allowlist === undefined ? undefined : compileAllowlist(allowlist) };
  }

  const isStale = (): boolean => {
    try {
      const confirmed = source.confirmedAt();
      if (confirmed === undefined) return false;
      const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
      // Not `>`: an age that is no number is no confirmation.
      return !(flagAgeMs(confirmed, now) <= maxStalenessMs);
    } catch {
      onSourceThrow();
      return true;
    }
  };

  return {
    current,
    shut: (by = current()) => shutBy(by.flags, local, isStale()),
    kill() {
      if (local.killed) return;
      local.killed = true;
      events.alert({ code: "KILLED_LOCALLY", message: "killed in this process until restored" });
    },
    restore() {
      if (!local.killed) return;
      local.killed = false;
      events.alert({ code: "RESTORED_LOCALLY", message: "the kill of this process is lifted" });
    },
    trip() {
      local.tripped = true;
    },
    resetTrip() {
      if (!local.tripped) return;
      local.tripped = false;
      events.alert({ code: "TRIPWIRE_RESET", message: "the tripwire is reset" });
    },
  };
}
