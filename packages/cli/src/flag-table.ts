import type { FlagRow } from "./flag-row.ts";
import { printTable } from "./print-table.ts";

/** Features as a table for people. */
export function printFlags(flags: readonly FlagRow[]): string {
  return printTable(
    [
      "feature",
      "state",
      "enabled",
      "percent",
      "killed",
      "allowlist",
      "salt",
      "protected",
      "version",
    ],
    flags.map((flag) => [
      flag.feature,
      stateOf(flag),
      flag.enabled,
      flag.percent,
      flag.killed,
      flag.allowlist === null ? undefined : `${String(flag.allowlist.length)} listed`,
      flag.salt === null ? undefined : JSON.stringify(flag.salt),
      flag.protected,
      flag.version,
    ]),
  );
}

function stateOf(flag: FlagRow): string {
  if (flag.killed) return "killed";
  if (!flag.enabled || flag.percent === 0) return "closed";
  return flag.percent === 100 ? "open" : "partly open";
}
