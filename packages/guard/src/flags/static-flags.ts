import {
  ConfigError,
  assertFeatureName,
  parseOptions,
  switchNames,
  type FeatureFlags,
  type FlagSource,
  type Switches,
} from "@sluice/contract";
import { flagsOf, parseSwitches } from "@sluice/policy";
import { z } from "zod";
import { createListeners } from "../listeners.ts";

const staticFeatureSchema = z.strictObject({
  enabled: z.boolean().default(false),
  killed: z.boolean().default(false),
  percent: z.int().min(0).max(100).default(100),
  allowlist: z.array(z.string()).readonly().optional(),
  salt: z.string().optional(),
});

const staticOptionsSchema = z.strictObject({
  switches: z.partialRecord(z.enum(switchNames), z.boolean()).default({}),
});

/** Flags of one feature in code. Unset: disabled, not killed, 100 %, no list, the feature's name as salt. */
export type StaticFeature = Readonly<z.input<typeof staticFeatureSchema>>;

export interface StaticFlags extends FlagSource {
  /** Replaces what is given of one feature's flags; readers see it at once. */
  set(feature: string, change: StaticFeature): void;
}

/**
 * Flags held in memory, by feature name; the gateway's switches are false unless given.
 * @throws ConfigError naming the feature and the field.
 */
export function staticFlags(
  features: Readonly<Record<string, StaticFeature>>,
  options: { readonly switches?: Partial<Switches> } = {},
): StaticFlags {
  const flags = new Map<string, FeatureFlags>();
  const given = new Map<string, StaticFeature>();
  const listeners = createListeners<[]>();
  const absent = flagsOf("absent", {});
  const put = (feature: string, value: StaticFeature): void => {
    assertFeatureName("staticFlags", feature);
    const parsed = parseOptions(`staticFlags.${feature}`, staticFeatureSchema, value);
    given.set(feature, parsed);
    flags.set(feature, {
      enabled: parsed.enabled,
      killed: parsed.killed,
      percent: parsed.percent,
      allowlist: parsed.allowlist,
      salt: parsed.salt ?? feature,
      version: undefined,
      problems: [],
    });
  };
  if (typeof features !== "object" || features === null) {
    throw new ConfigError({
      option: "staticFlags",
      got: String(features),
      expected: "an object of features",
    });
  }
  for (const [feature, value] of Object.entries(features)) put(feature, value);
  const parsed = parseOptions("staticFlags.options", staticOptionsSchema, options);
  const switches = {
    switches: { ...parseSwitches({}).switches, ...parsed.switches },
    problems: [],
  };
  return {
    name: "static",
    read: (feature) => flags.get(feature) ?? absent,
    readSwitches: () => switches,
    confirmedAt: () => undefined,
    onChange: (listener) => listeners.add(listener),
    close: () => listeners.clear(),
    set(feature, change) {
      put(feature, { ...given.get(feature), ...change });
      listeners.tell();
    },
  };
}
