import {
  switchNames,
  type FeatureFlags,
  type FlagProblem,
  type SwitchName,
  type Switches,
} from "@sluice/contract";

/** Environment variables, or a flag file's. */
export type Variables = Readonly<Record<string, string | undefined>>;

export interface FlagVariableNames {
  readonly enabled: string;
  readonly kill: string;
  readonly allowlist: string;
  readonly percent: string;
}

/** `slotgen_ai` reads `FEATURE_SLOTGEN_AI`, `SLOTGEN_AI_KILL`, `SLOTGEN_AI_ALLOWLIST`, `SLOTGEN_AI_ROLLOUT_PERCENT`. */
export function flagVariableNames(feature: string): FlagVariableNames {
  const name = feature.toUpperCase();
  return {
    enabled: `FEATURE_${name}`,
    kill: `${name}_KILL`,
    allowlist: `${name}_ALLOWLIST`,
    percent: `${name}_ROLLOUT_PERCENT`,
  };
}

/** The raw values of one feature, in the order of {@link FlagVariableNames}. */
export interface RawFlags {
  readonly enabled: string | undefined;
  readonly kill: string | undefined;
  readonly allowlist: string | undefined;
  readonly percent: string | undefined;
}

const killWords = new Set(["true", "1", "yes", "on"]);

/**
 * Reads flags with the safest meaning of each value: enabled only by exactly `true`; a kill by anything
 * but unset, empty, `false` or `0`; a malformed percentage is 0.
 */
export function parseEnvFlags(feature: string, raw: RawFlags): FeatureFlags {
  const names = flagVariableNames(feature);
  const problems: FlagProblem[] = [];
  if (raw.enabled !== undefined && raw.enabled !== "true" && !isOff(raw.enabled)) {
    problems.push({ variable: names.enabled, expected: "true or false", readAs: "false" });
  }
  const killed = raw.kill !== undefined && !isOff(raw.kill);
  if (killed && !killWords.has(raw.kill)) {
    problems.push({ variable: names.kill, expected: "true or false", readAs: "true" });
  }
  let percent = 100;
  if (raw.percent !== undefined) {
    const wellFormed = /^(?:\d{1,2}|100)$/.test(raw.percent);
    percent = wellFormed ? Number(raw.percent) : 0;
    if (!wellFormed) {
      problems.push({ variable: names.percent, expected: "an integer from 0 to 100", readAs: "0" });
    }
  }
  return {
    enabled: raw.enabled === "true",
    killed,
    percent,
    allowlist: raw.allowlist === undefined ? undefined : splitIds(raw.allowlist),
    salt: feature,
    version: undefined,
    problems,
  };
}

/** The flags of a feature among all variables; without any, everything is unset and the feature disabled. */
export function flagsOf(feature: string, variables: Variables): FeatureFlags {
  const names = flagVariableNames(feature);
  return parseEnvFlags(feature, {
    enabled: variables[names.enabled],
    kill: variables[names.kill],
    allowlist: variables[names.allowlist],
    percent: variables[names.percent],
  });
}

function isOff(value: string): boolean {
  return value === "" || value === "false" || value === "0";
}

function splitIds(list: string): readonly string[] {
  return list
    .split(",")
    .map((id) => id.trim())
    .filter((id) => id !== "");
}

/** What a malformed switch is read as. */
const safest: Readonly<Partial<Record<SwitchName, boolean>>> = {
  FF_CHAT_GATEWAY_SHADOW: true,
  FF_FAIL_CLOSED_ON_REDIS_ERROR: true,
};

/** Reads the gateway's switches: `true` or `false`; unset and empty are false, anything else the safest. */
export function parseSwitches(variables: Variables): {
  readonly switches: Switches;
  readonly problems: readonly FlagProblem[];
} {
  const problems: FlagProblem[] = [];
  const read = (name: SwitchName): boolean => {
    const raw = variables[name];
    if (raw === "true") return true;
    if (raw === undefined || raw === "" || raw === "false") return false;
    const readAs = safest[name] ?? false;
    problems.push({ variable: name, expected: "true or false", readAs: String(readAs) });
    return readAs;
  };
  const switches = Object.fromEntries(switchNames.map((name) => [name, read(name)])) as Record<
    SwitchName,
    boolean
  >;
  return { switches, problems };
}
