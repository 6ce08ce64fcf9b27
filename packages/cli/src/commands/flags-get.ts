import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { featureArgument } from "../flag-options.ts";
import { findFlag, noSuchFeature } from "../flag-row.ts";
import { printPairs } from "../print-table.ts";

export function flagsGetCommand(context: CliContext): Command {
  return new Command("get")
    .description("one feature, with its list")
    .addArgument(featureArgument())
    .addHelpText("after", "\nExample:\n  sluice flags get slotgen_ai --json\n")
    .action((feature: string) =>
      context.withSession(async ({ db, names }) => {
        const stored = await findFlag(db.query, names, feature);
        if (stored === undefined) throw noSuchFeature(feature);
        const { flag } = stored;
        context.show(flag, () =>
          printPairs([
            ["feature", flag.feature],
            ["enabled", flag.enabled],
            ["percent", flag.percent],
            ["killed", flag.killed],
            ["allowlist", flag.allowlist === null ? "none" : JSON.stringify(flag.allowlist)],
            ["salt", JSON.stringify(flag.salt ?? flag.feature)],
            ["protected", flag.protected],
            ["version", flag.version],
            ["updated", flag.updatedAt],
          ]),
        );
      }),
    );
}
