import { assertFeatureName, describeValue } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import { readMetricWindows } from "@sluice/sql";
import { Command, InvalidArgumentError, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { parseText } from "../parse-value.ts";
import { printShadow, type ShadowReport } from "./print-shadow.ts";
import { shadowFigures } from "./shadow-figures.ts";

interface Options {
  readonly feature: string;
  /** In milliseconds. */
  readonly since: number;
  readonly promoteAt: number;
}

const dayMs = 86_400_000;
const unitsMs = { s: 1000, m: 60_000, h: 3_600_000, d: dayMs } as const;
const longestMs = 400 * dayMs;

/** Days of a busy feature are many rows. */
const statementTimeoutMs = 60_000;

export function shadowReportCommand(context: CliContext): Command {
  return new Command("report")
    .description(
      "what the gates would have said, how mirrored calls went, and how their answers compare with the legacy handler's; exit code 4 where a shadow saw nothing",
    )
    .requiredOption("--feature <name>", "the feature behind the gateway", parseText)
    .addOption(
      new Option("--since <duration>", "how far back: 30m, 24h, 7d")
        .argParser(parseSince)
        .default(dayMs, "24h"),
    )
    .option(
      "--promote-at <rate>",
      "what the lower end of each field's interval has to reach, above 0 and below 1",
      parseRate,
      0.95,
    )
    .addHelpText(
      "after",
      "\nExample:\n  sluice shadow report --feature chat_gateway --since 7d --promote-at 0.9\n",
    )
    .action((options: Options) => report(context, options));
}

async function report(
  context: CliContext,
  { feature, since: sinceMs, promoteAt }: Options,
): Promise<void> {
  assertFeatureName("--feature", feature);
  const untilMs = systemClock.wallMs();
  const [from, to] = [new Date(untilMs - sinceMs), new Date(untilMs)];
  await context.withSession(async ({ db, nameOptions: names }) => {
    const totals = await readMetricWindows(db, { feature, from, to, arm: "shadow", names });
    const figures = shadowFigures(totals, promoteAt);
    const [since, until] = [from.toISOString(), to.toISOString()];
    if (figures === undefined) {
      throw new CliFailure(
        exitCodes.notFound,
        `no figures of a shadow of ${feature} since ${since}: they come from metricWindows, while FF_CHAT_GATEWAY_ENABLED and FF_CHAT_GATEWAY_SHADOW are true`,
      );
    }
    const shown: ShadowReport = { feature, since, until, promoteAt, ...figures };
    context.show(shown, () => printShadow(shown));
  }, statementTimeoutMs);
}

function parseSince(value: string): number {
  const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(value) ?? [];
  const ms = Number(digits) * unitsMs[unit as keyof typeof unitsMs];
  if (ms > 0 && ms <= longestMs) return ms;
  throw new InvalidArgumentError(
    `Got ${describeValue(value)}, expected a duration as 30m, 24h or 7d, at most 400d.`,
  );
}

function parseRate(value: string): number {
  const rate = /^0?\.\d{1,9}$/.test(value) ? Number(value) : 0;
  if (rate > 0) return rate;
  throw new InvalidArgumentError(
    `Got ${describeValue(value)}, expected a rate above 0 and below 1, as 0.95.`,
  );
}
