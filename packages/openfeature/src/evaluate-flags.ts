import {
  ErrorCode,
  StandardResolutionReasons,
  type Client,
  type EvaluationContext,
  type EvaluationDetails,
  type FlagValue,
} from "@openfeature/server-sdk";
import type { FeatureFlags, FlagProblem } from "@sluice/contract";

/** Which flags of the platform make up one feature. */
export interface FlagKeys {
  readonly enabled: string;
  readonly kill: string | undefined;
  readonly percent: string | undefined;
  readonly allowlist: string | undefined;
}

/**
 * Evaluates the flags of one feature. Undefined when the platform could not answer, or only with what it
 * calls stale. A flag that it does not have, or that is of another type, has the safest reading: not
 * enabled, killed, 0 %, nobody listed.
 */
export async function evaluateFlags(
  client: Client,
  feature: string,
  keys: FlagKeys,
  context: EvaluationContext | undefined,
): Promise<FeatureFlags | undefined> {
  const [enabled, kill, percent, allowlist] = await Promise.all([
    client.getBooleanDetails(keys.enabled, false, context),
    keys.kill === undefined ? undefined : client.getBooleanDetails(keys.kill, true, context),
    keys.percent === undefined ? undefined : client.getNumberDetails(keys.percent, 0, context),
    keys.allowlist === undefined ? undefined : client.getObjectDetails(keys.allowlist, [], context),
  ]);
  const all = [enabled, kill, percent, allowlist].filter((details) => details !== undefined);
  if (all.some((details) => !isAnswer(details))) return undefined;

  const problems: FlagProblem[] = [];
  const take = <T>(
    details: EvaluationDetails<FlagValue>,
    fits: (value: unknown) => value is T,
    safest: T,
    readAs: string,
    expected: string,
  ): T => {
    if (details.errorCode === undefined && fits(details.value)) return details.value;
    problems.push({ variable: details.flagKey, expected, readAs });
    return safest;
  };
  return {
    enabled: take(enabled, isBoolean, false, "false", "a boolean flag"),
    killed: kill === undefined ? false : take(kill, isBoolean, true, "true", "a boolean flag"),
    percent:
      percent === undefined
        ? 100
        : take(percent, isPercent, 0, "0", "a number flag, an integer from 0 to 100"),
    allowlist:
      allowlist === undefined
        ? undefined
        : (take(
            allowlist,
            isIdsOrNull,
            [],
            "nobody",
            "an object flag, an array of subject ids or null",
          ) ?? undefined),
    salt: feature,
    version: undefined,
    problems,
  };
}

/** The platform spoke of the flag as it is now, if only to say that there is none of this name and type. */
export function isAnswer({ errorCode, reason }: EvaluationDetails<FlagValue>): boolean {
  if (errorCode === undefined) return reason !== StandardResolutionReasons.STALE;
  return errorCode === ErrorCode.FLAG_NOT_FOUND || errorCode === ErrorCode.TYPE_MISMATCH;
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function isPercent(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 100;
}

function isIdsOrNull(value: unknown): value is readonly string[] | null {
  return value === null || (Array.isArray(value) && value.every((id) => typeof id === "string"));
}
