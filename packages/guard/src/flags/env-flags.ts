import type { FeatureFlags, FlagSource } from "@sluice/contract";
import {
  flagVariableNames,
  parseEnvFlags,
  parseSwitches,
  type FlagVariableNames,
  type RawFlags,
  type Variables,
} from "@sluice/policy";

interface Read {
  readonly names: FlagVariableNames;
  raw: RawFlags;
  flags: FeatureFlags;
}

/**
 * Flags from the environment, read live: a change of `process.env` is seen by the next request, and by
 * calls in flight within 20 ms.
 */
export function envFlags(options: { readonly variables?: Variables } = {}): FlagSource {
  const variables = options.variables ?? process.env;
  const reads = new Map<string, Read>();
  return {
    name: "env",
    read(feature) {
      const known = reads.get(feature);
      const names = known?.names ?? flagVariableNames(feature);
      const enabled = variables[names.enabled];
      const kill = variables[names.kill];
      const allowlist = variables[names.allowlist];
      const percent = variables[names.percent];
      if (
        known !== undefined &&
        known.raw.enabled === enabled &&
        known.raw.kill === kill &&
        known.raw.allowlist === allowlist &&
        known.raw.percent === percent
      ) {
        return known.flags;
      }
      const raw = { enabled, kill, allowlist, percent };
      const flags = parseEnvFlags(feature, raw);
      reads.set(feature, { names, raw, flags });
      return flags;
    },
    readSwitches: () => parseSwitches(variables),
    confirmedAt: () => undefined,
    onChange: () => () => undefined,
    close: () => undefined,
  };
}
