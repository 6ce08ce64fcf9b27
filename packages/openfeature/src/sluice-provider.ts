import {
  ErrorCode,
  OpenFeatureEventEmitter,
  ProviderEvents,
  ProviderNotReadyError,
  StandardResolutionReasons,
  type FlagMetadata,
  type Provider,
  type ResolutionDetails,
} from "@openfeature/server-sdk";
import { parseOptions, type FeatureFlags, type FlagSource } from "@sluice/contract";
import { compileAllowlist, flagAgeMs, flagsOf, type AllowlistMatcher } from "@sluice/policy";
import { z } from "zod";
import { clockSchema } from "./clock-schema.ts";
import { decideFeature, type FeatureFault, type Freshness } from "./decide-feature.ts";

const sourceMethods = ["read", "confirmedAt", "onChange"] as const;

const optionsSchema = z.strictObject({
  /** Stays the caller's: the provider never closes it. */
  source: z.custom<FlagSource>(
    (value) =>
      typeof value === "object" &&
      value !== null &&
      sourceMethods.every((name) => typeof (value as Partial<FlagSource>)[name] === "function"),
    { error: "a flag source" },
  ),
  clock: clockSchema,
  /** Flags that were not confirmed for longer close the feature, as in the guard. */
  maxStalenessMs: z.int().min(1).default(5000),
  /** Any other is FLAG_NOT_FOUND. Without it every name is taken, and an unknown one is disabled. */
  features: z.array(z.string().min(1)).readonly().optional(),
  /** As in the guard: `require`, only who is listed; `include`, who is listed skips the percentage. */
  allowlistMode: z.enum(["require", "include"]).default("require"),
  /** How long `initialize` waits for flags that were never confirmed before it rejects. */
  readyTimeoutMs: z.int().min(1).default(5000),
});

export type SluiceProviderOptions = Readonly<z.input<typeof optionsSchema>>;

/** How often it is looked whether flags went stale, or were confirmed again. */
const lookMs = 250;

/**
 * An OpenFeature provider over a flag source. A feature is a boolean flag, decided for the context's
 * `targetingKey` by the functions that decide in the guard; a feature that is off, killed or stale is false,
 * whatever the caller's default.
 * @throws ConfigError naming the option.
 */
export function sluiceProvider(options: SluiceProviderOptions): Provider {
  const { source, clock, maxStalenessMs, features, allowlistMode, readyTimeoutMs } = parseOptions(
    "sluiceProvider",
    optionsSchema,
    options,
  );
  const known = features === undefined ? undefined : new Set(features);
  const events = new OpenFeatureEventEmitter();
  const matchers = new WeakMap<FeatureFlags, AllowlistMatcher>();
  let told: "nothing" | "ready" | "stale" = "nothing";
  let lastRead = new Map<string, FeatureFlags>();
  /** Ends the wait of `initialize`, with an error or without. */
  let endWait: ((error?: ProviderNotReadyError) => void) | undefined;
  let stops: readonly (() => void)[] = [];

  const read = (feature: string): FeatureFlags => {
    try {
      return source.read(feature);
    } catch {
      // As in the guard: closed, not the caller's default.
      return flagsOf(feature, {});
    }
  };

  const freshness = (): Freshness => {
    try {
      const confirmed = source.confirmedAt();
      if (confirmed === undefined) return "fresh";
      const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
      const ageMs = flagAgeMs(confirmed, now);
      if (ageMs <= maxStalenessMs) return "fresh";
      return ageMs === Number.POSITIVE_INFINITY ? "unconfirmed" : "stale";
    } catch {
      return "stale";
    }
  };

  const listedBy = (flags: FeatureFlags): AllowlistMatcher | undefined => {
    if (flags.allowlist === undefined) return undefined;
    let matcher = matchers.get(flags);
    if (matcher === undefined) {
      matcher = compileAllowlist(flags.allowlist);
      matchers.set(flags, matcher);
    }
    return matcher;
  };

  const look = (): void => {
    const now = freshness();
    if (now === "unconfirmed") return;
    if (endWait !== undefined) {
      endWait();
      return;
    }
    const next = now === "fresh" ? "ready" : "stale";
    if (next === told) return;
    told = next;
    events.emit(next === "ready" ? ProviderEvents.Ready : ProviderEvents.Stale);
  };

  const readAll = (): Map<string, FeatureFlags> =>
    new Map((features ?? []).map((feature) => [feature, read(feature)]));

  const onSourceChange = (): void => {
    const before = lastRead;
    lastRead = readAll();
    look();
    if (told === "nothing") return;
    if (features === undefined) {
      events.emit(ProviderEvents.ConfigurationChanged);
      return;
    }
    const flagsChanged = features.filter((name) => lastRead.get(name) !== before.get(name));
    if (flagsChanged.length > 0) events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged });
  };

  const stopWatching = (): void => {
    for (const stop of stops) stop();
    stops = [];
    endWait?.(new ProviderNotReadyError("the provider was closed"));
  };

  /** A feature is never anything but a boolean. */
  const mismatch = <T>(feature: string, defaultValue: T): Promise<ResolutionDetails<T>> =>
    Promise.resolve(failed(defaultValue, isKnown(feature) ? notBoolean : notFound));

  const isKnown = (feature: string): boolean => known?.has(feature) ?? true;

  return {
    metadata: { name: "sluice" },
    runsOn: "server",
    events,
    async initialize() {
      stopWatching();
      told = "nothing";
      lastRead = readAll();
      stops = [source.onChange(onSourceChange), clock.every(lookMs, look)];
      if (freshness() === "unconfirmed") {
        await new Promise<void>((resolve, reject) => {
          const cancel = clock.after(readyTimeoutMs, () =>
            endWait?.(new ProviderNotReadyError("the flags were not confirmed in time")),
          );
          endWait = (error) => {
            cancel();
            endWait = undefined;
            if (error === undefined) resolve();
            else reject(error);
          };
        });
      }
      // The SDK tells of it.
      told = "ready";
    },
    onClose() {
      stopWatching();
      return Promise.resolve();
    },
    resolveBooleanEvaluation(feature, defaultValue, context) {
      if (!isKnown(feature)) return Promise.resolve(failed(defaultValue, notFound));
      const flags = read(feature);
      const decision = decideFeature({
        flags,
        freshness: freshness(),
        subject: context.targetingKey,
        listed: listedBy(flags),
        allowlistMode,
      });
      if ("errorCode" in decision) return Promise.resolve(failed(defaultValue, decision));
      const { value, reason, sluiceReason } = decision;
      const flagMetadata: FlagMetadata = {
        ...(flags.version !== undefined && { version: flags.version }),
        ...(sluiceReason !== undefined && { sluiceReason }),
      };
      return Promise.resolve({ value, reason, variant: value ? "on" : "off", flagMetadata });
    },
    resolveStringEvaluation: mismatch,
    resolveNumberEvaluation: mismatch,
    resolveObjectEvaluation: mismatch,
  };
}

function failed<T>(defaultValue: T, fault: FeatureFault): ResolutionDetails<T> {
  return { value: defaultValue, reason: StandardResolutionReasons.ERROR, ...fault };
}

const notFound: FeatureFault = {
  errorCode: ErrorCode.FLAG_NOT_FOUND,
  errorMessage: "no feature of this name",
};
const notBoolean: FeatureFault = {
  errorCode: ErrorCode.TYPE_MISMATCH,
  errorMessage: "a feature is a boolean flag",
};
