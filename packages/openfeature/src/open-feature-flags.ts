import { isDeepStrictEqual } from "node:util";
import {
  ProviderEvents,
  ProviderStatus,
  type Client,
  type EvaluationContext,
} from "@openfeature/server-sdk";
import {
  parseOptions,
  type Confirmation,
  type FeatureFlags,
  type FlagSource,
} from "@sluice/contract";
import { flagsOf, parseSwitches } from "@sluice/policy";
import { z } from "zod";
import { clockSchema } from "./clock-schema.ts";
import { evaluateFlags, type FlagKeys } from "./evaluate-flags.ts";
import { evaluateSwitches, type SwitchKeyOf } from "./evaluate-switches.ts";
import { featureListSchema } from "./feature-list-schema.ts";

const clientMethods = ["getBooleanDetails", "getNumberDetails", "addHandler"] as const;

type FlagKeyOf = (feature: string) => string | undefined;

const flagKeySchema = z.custom<FlagKeyOf>((value) => typeof value === "function", {
  error: "a function from a feature to the key of a flag",
});

const optionsSchema = z.strictObject({
  client: z.custom<Client>(
    (value) =>
      typeof value === "object" &&
      value !== null &&
      clientMethods.every((name) => typeof (value as Partial<Client>)[name] === "function"),
    { error: "a client of OpenFeature" },
  ),
  features: featureListSchema.refine((features) => features.length > 0, {
    error: "at least one feature",
  }),
  clock: clockSchema,
  /** The boolean flag that enables a feature; by default of the feature's name. */
  enabledFlag: z
    .custom<(feature: string) => string>((value) => typeof value === "function", {
      error: "a function from a feature to the key of a flag",
    })
    .optional(),
  /** The boolean flag that kills it; without one nothing does. */
  killFlag: flagKeySchema.optional(),
  /** The number flag with its percentage, an integer; without one 100. */
  percentFlag: flagKeySchema.optional(),
  /** The object flag with its subjects, an array of ids or null for no opinion; without one none. */
  allowlistFlag: flagKeySchema.optional(),
  /**
   * The boolean flag that is a switch of the chat gateway, by the switch's name in the environment; without
   * one the switch is false.
   */
  switchFlag: z
    .custom<SwitchKeyOf>((value) => typeof value === "function", {
      error: "a function from a switch to the key of a flag",
    })
    .optional(),
  /** Sent with each evaluation, for platforms that want a targeting key. Nobody's in particular. */
  context: z
    .custom<EvaluationContext>((value) => typeof value === "object" && value !== null, {
      error: "an evaluation context",
    })
    .optional(),
  /** How often the flags are evaluated besides at the provider's events. */
  refreshMs: z.int().min(10).max(60_000).default(1000),
  /** An evaluation that takes longer is given up, and the next begun. */
  timeoutMs: z.int().min(10).max(60_000).default(2000),
});

export type OpenFeatureFlagsOptions = Readonly<z.input<typeof optionsSchema>>;

const never: Confirmation = {
  monotonicMs: Number.NEGATIVE_INFINITY,
  wallMs: Number.NEGATIVE_INFINITY,
};

const refreshingEvents = [
  ProviderEvents.Ready,
  ProviderEvents.ConfigurationChanged,
  ProviderEvents.Stale,
  ProviderEvents.Error,
] as const;

/**
 * Flags from a platform behind an OpenFeature client, evaluated on an interval and at the provider's events
 * and read from memory. A source knows no subject, so the platform's targeting by user is not seen: what it
 * answers for `context` counts for everybody; the percentage and the allowlist are Sluice's.
 *
 * Flags are confirmed when every feature was answered by a provider that is ready. Until the first time all
 * are closed; afterwards, while any can't be answered, the last values stay and all grow stale.
 * @throws ConfigError naming the option.
 */
export function openFeatureFlags(options: OpenFeatureFlagsOptions): FlagSource {
  const { client, features, clock, context, refreshMs, timeoutMs, switchFlag, ...keyOf } =
    parseOptions("openFeatureFlags", optionsSchema, options);
  const keys = features.map((feature): readonly [string, FlagKeys] => [
    feature,
    {
      enabled: keyOf.enabledFlag?.(feature) ?? feature,
      kill: keyOf.killFlag?.(feature),
      percent: keyOf.percentFlag?.(feature),
      allowlist: keyOf.allowlistFlag?.(feature),
    },
  ]);
  const absent = flagsOf("absent", {});
  const flags = new Map(features.map((feature) => [feature, flagsOf(feature, {})]));
  let switches = parseSwitches({});
  const listeners = new Set<() => void>();
  let confirmed = never;
  let closed = false;
  /** The refresh that is under way; a late one that was given up changes nothing. */
  let current: { readonly sinceMs: number; again: boolean } | undefined;

  const put = (feature: string, next: FeatureFlags | undefined): boolean => {
    if (next === undefined || isDeepStrictEqual(next, flags.get(feature))) return false;
    flags.set(feature, next);
    return true;
  };

  const putSwitches = (next: typeof switches | undefined): boolean => {
    if (next === undefined || isDeepStrictEqual(next, switches)) return false;
    switches = next;
    return true;
  };

  const tell = (): void => {
    for (const listener of listeners) {
      try {
        listener();
      } catch {
        // It silences no other.
      }
    }
  };

  const refresh = async (): Promise<void> => {
    const own = { sinceMs: clock.monotonicMs(), again: false };
    current = own;
    // The SDK tells that a new provider is ready before it puts it in the place of the old one.
    await Promise.resolve();
    if (closed || current !== own) return;
    // The flags are known as they were when they were asked for.
    const asked = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const wasReady = isReady(client);
    const [answers, switched] = await Promise.all([
      Promise.all(
        keys.map(async ([feature, flagKeys]) =>
          orUndefined(evaluateFlags(client, feature, flagKeys, context)),
        ),
      ),
      switchFlag && orUndefined(evaluateSwitches(client, switchFlag, context)),
    ]);
    if (closed || current !== own) return;
    current = undefined;
    if (wasReady && isReady(client)) {
      const areSwitchesKnown = switchFlag === undefined || switched !== undefined;
      if (areSwitchesKnown && answers.every((answer) => answer !== undefined)) confirmed = asked;
      const changed = features.filter((feature, i) => put(feature, answers[i]));
      if (putSwitches(switched) || changed.length > 0) tell();
    }
    if (own.again) start();
  };

  const start = (): void => {
    if (closed) return;
    const tookMs = current === undefined ? timeoutMs : clock.monotonicMs() - current.sinceMs;
    // What is asked already may be answered as it was before this change.
    if (current !== undefined && tookMs < timeoutMs) current.again = true;
    else void refresh();
  };

  const stop = clock.every(refreshMs, start);
  for (const event of refreshingEvents) client.addHandler(event, start);
  start();

  return {
    name: "openfeature",
    read: (feature) => flags.get(feature) ?? absent,
    readSwitches: () => switches,
    confirmedAt: () => confirmed,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      closed = true;
      stop();
      listeners.clear();
      for (const event of refreshingEvents) client.removeHandler(event, start);
    },
  };
}

async function orUndefined<T>(answering: Promise<T>): Promise<T | undefined> {
  try {
    return await answering;
  } catch {
    return undefined;
  }
}

function isReady(client: Client): boolean {
  return client.providerStatus === ProviderStatus.READY;
}
