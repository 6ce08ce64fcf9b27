import { Argument, Option } from "commander";
import { parseBoolean, parseIds, parsePercent, parseText } from "./parse-value.ts";
import type { FlagPatch } from "./widenings.ts";

/** What commands that name a feature's columns may have been given. */
export interface FlagTargets {
  readonly enabled?: boolean;
  readonly percent?: number;
  readonly killed?: boolean;
  /** False is `--no-allowlist`. */
  readonly allowlist?: readonly string[] | false;
  readonly salt?: string;
  readonly protected?: boolean;
}

export const featureArgument = (): Argument =>
  new Argument("<feature>", "the feature").argParser(parseText);

export const enabledOption = (): Option =>
  new Option("--enabled <true|false>", "whether it is enabled").argParser(parseBoolean);

export const percentOption = (): Option =>
  new Option("--percent <n>", "of the subjects, 0 to 100").argParser(parsePercent);

export const killedOption = (): Option =>
  new Option("--killed <true|false>", "whether it is killed").argParser(parseBoolean);

export const allowlistOption = (): Option =>
  new Option("--allowlist <id...>", "the whole list").argParser(parseIds);

/** Goes behind {@link allowlistOption}, or the list would be there by default. */
export const noAllowlistOption = (): Option => new Option("--no-allowlist", "have no list");

export const saltOption = (): Option =>
  new Option("--salt <text>", "hashed before the subject; '' hashes the bare id").argParser(
    parseText,
  );

export const protectedOption = (): Option =>
  new Option("--protected <true|false>", "whether widening it needs an approved change").argParser(
    parseBoolean,
  );

export const reasonOption = (): Option =>
  new Option("--reason <text>", "for the audit").argParser(parseText);

export const yesOption = (): Option => new Option("--yes", "agree to widen without being asked");

/** The columns that were named. */
export function toPatch(targets: FlagTargets): FlagPatch {
  const { enabled, percent, killed, allowlist, salt, protected: isProtected } = targets;
  return {
    ...(enabled !== undefined && { enabled }),
    ...(percent !== undefined && { percent }),
    ...(killed !== undefined && { killed }),
    ...(allowlist !== undefined && { allowlist: allowlist === false ? null : toList(allowlist) }),
    ...(salt !== undefined && { salt }),
    ...(isProtected !== undefined && { protected: isProtected }),
  };
}

/** In one order, so that a list is the one that was approved in whatever order it is given. */
function toList(ids: readonly string[]): readonly string[] {
  return [...new Set(ids)].toSorted();
}
