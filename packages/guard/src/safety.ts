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
import { problemText } from "./problem-text.ts";

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
  let staleTold = false;
  /** What of the source threw when last asked, and when any of it did; Infinity when that is over. */
  const threw = new Set<"read" | "confirmedAt">();
  let threwAtMs = Infinity;
  let compiled = compile(read());

  const current = (): CompiledFlags => {
    const flags = read();
    if (flags !== compiled.flags) compiled = compile(flags);
    return compiled;
  };

  function onSourceThrow(what: "read" | "confirmedAt"): void {
    threw.add(what);
    threwAtMs = clock.monotonicMs();
    events.alertOnce("flags", {
      code: "DEPENDENCY_THREW",
      message: "the flag source threw; the feature is closed",
    });
  }

  /** Another spell is told of; one that throws now and then, once per spell of `maxStalenessMs`. */
  function onSourceWell(what: "read" | "confirmedAt"): void {
    threw.delete(what);
    if (threw.size > 0 || clock.monotonicMs() - threwAtMs < maxStalenessMs) return;
    threwAtMs = Infinity;
    events.clear("flags");
  }

  function read(): FeatureFlags {
    try {
      const flags = source.read(feature);
      if (threwAtMs < Infinity) onSourceWell("read");
      return flags;
    } catch {
      onSourceThrow("read");
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
        message: problemText(problem),
        variable: problem.variable,
      });
    }
    const { allowlist } = flags;
    return { flags, listed: allowlist === undefined ? undefined : compileAllowlist(allowlist) };
  }

  const isConfirmed = (): boolean => {
    const confirmed = source.confirmedAt();
    if (confirmed === undefined) return true;
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    // An age that is no number is no confirmation.
    return flagAgeMs(confirmed, now) <= maxStalenessMs;
  };

  const isStale = (): boolean => {
    let stale: boolean;
    try {
      stale = !isConfirmed();
      if (threwAtMs < Infinity) onSourceWell("confirmedAt");
    } catch {
      onSourceThrow("confirmedAt");
      return true;
    }
    if (stale !== staleTold) tellStaleness(stale);
    return stale;
  };

  function tellStaleness(stale: boolean): void {
    staleTold = stale;
    const why = stale ? troubleOf(source) : undefined;
    events.alert(
      stale
        ? {
            code: "FLAGS_STALE",
            message: `flags from ${source.name} were not confirmed for more than ${maxStalenessMs} ms${
              why === undefined ? "" : ` (${why})`
            }: the feature is closed`,
            figures: { maxStalenessMs },
          }
        : {
            code: "FLAGS_FRESH",
            message: `flags from ${source.name} are confirmed again: the feature follows them`,
          },
    );
  }

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

/** A code, as the port has it; anything else may quote what nobody should read. */
const troubleForm = /^[A-Za-z0-9_]{1,64}$/;

function troubleOf(source: FlagSource): string | undefined {
  try {
    const trouble: unknown = source.trouble?.();
    return typeof trouble === "string" && troubleForm.test(trouble) ? trouble : undefined;
  } catch {
    return undefined;
  }
}
