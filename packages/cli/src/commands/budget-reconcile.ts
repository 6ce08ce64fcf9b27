import { describeValue, oneLine, type BudgetUse } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import { dayTeller, isTimeZone } from "@sluice/policy";
import { readGlobalBudget } from "@sluice/redis";
import { readUsage } from "@sluice/sql";
import { Command, InvalidArgumentError } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { parseText } from "../parse-value.ts";
import { printPairs, printTable } from "../print-table.ts";
import { compareBudget, type BudgetFigure } from "./budget-compare.ts";
import { budgetDay, type BudgetDay } from "./budget-day.ts";
import { withRedis } from "./budget-redis.ts";

interface Options {
  readonly namespace: string;
  readonly day?: string;
  readonly timeZone: string;
  readonly feature?: readonly string[];
  readonly tolerance: number;
  readonly redisUrl?: string;
}

interface Reconciled {
  readonly namespace: string;
  readonly day: string;
  readonly timeZone: string;
  readonly tolerancePercent: number;
  readonly ok: boolean;
  readonly figures: readonly BudgetFigure[];
  readonly open: BudgetUse;
  readonly expired: BudgetUse;
  readonly features: readonly string[];
  readonly requestsWithoutUsage: number;
}

/** A day of a busy feature is many rows. */
const statementTimeoutMs = 60_000;

export function budgetReconcileCommand(context: CliContext): Command {
  return new Command("reconcile")
    .description(
      "compares the budget of all subjects of a day in Redis with the generation records; exit code 1 where they differ",
    )
    .requiredOption("--namespace <name>", "the namespace of redisAdmission", parseText)
    .option("--day <date>", "as 2026-11-28 (default: today)", parseText)
    .option("--time-zone <zone>", "the timeZone of redisAdmission", parseZone, "UTC")
    .option(
      "--feature <name>",
      "whose records count; again for another (default: every feature)",
      parseFeature,
    )
    .option("--tolerance <percent>", "by how much the two may differ", parseTolerance, 1)
    .option("--redis-url <url>", "redis://user:password@host:port/db (default: REDIS_URL)")
    .addHelpText(
      "after",
      "\nExample:\n  sluice budget reconcile --namespace faq --time-zone Europe/Berlin --day 2026-11-28\n",
    )
    .action((options: Options) => reconcile(context, options));
}

async function reconcile(context: CliContext, options: Options): Promise<void> {
  const { namespace, timeZone, feature: features, tolerance: tolerancePercent } = options;
  const { day, from, to } = dayOf(options);
  const url = options.redisUrl ?? context.env["REDIS_URL"] ?? "";
  if (url === "") throw new CliFailure(exitCodes.usage, "no Redis: give --redis-url or REDIS_URL");
  await context.withSession(async ({ db, nameOptions }) => {
    // Before the records: one is written when its request is over, so later than its calls are settled.
    const use = await withRedis({ url, clock: systemClock }, (client) =>
      readGlobalBudget(client, { namespace, day }),
    );
    if (use === undefined) {
      throw new CliFailure(
        exitCodes.notFound,
        `no budget of ${day} in Redis under the namespace ${describeValue(namespace)}: it is there only with a globalBudget, from the day's first call to a day after its end`,
      );
    }
    const names = nameOptions;
    const recorded = await readUsage(db, { from, to, names, ...(features && { features }) });
    const figures = compareBudget(use.settled, recorded, tolerancePercent);
    const wrong = figures.filter(({ ok }) => !ok).map(({ figure }) => figure);
    const reconciled: Reconciled = {
      namespace,
      day,
      timeZone,
      tolerancePercent,
      ok: wrong.length === 0,
      figures,
      open: use.open,
      expired: use.expired,
      features: recorded.features,
      requestsWithoutUsage: recorded.uncounted,
    };
    context.show(reconciled, () => print(reconciled));
    if (wrong.length > 0) {
      throw new CliFailure(
        exitCodes.checkFailed,
        `Redis and the records differ by more than ${String(tolerancePercent)} %: ${wrong.join(", ")}`,
      );
    }
  }, statementTimeoutMs);
}

function print({ figures, open, expired, ...about }: Reconciled): string {
  const { namespace, day, timeZone, features, requestsWithoutUsage } = about;
  return [
    printPairs([
      ["namespace", namespace],
      ["day", `${day} ${timeZone}`],
      ["features", features.join(", ")],
      ["requests without usage", requestsWithoutUsage],
    ]),
    printTable(
      ["figure", "Redis", "records", "difference", "percent", "ok"],
      figures.map(({ figure, redis, records, difference, percent, ok }) => [
        figure,
        redis,
        records,
        difference,
        percent,
        ok,
      ]),
    ),
    printTable(
      ["reservations", "calls", "tokens", "costNanoUsd"],
      Object.entries({ open, expired }).map(([name, { calls, tokens, costNanoUsd }]) => [
        name,
        calls,
        tokens,
        costNanoUsd,
      ]),
    ),
  ].join("\n");
}

function dayOf({ day, timeZone }: Options): BudgetDay {
  const name = day ?? dayTeller(timeZone)(systemClock.wallMs()).name;
  const found = budgetDay(name, timeZone);
  if (found !== undefined) return found;
  throw new CliFailure(
    exitCodes.usage,
    `--day: got ${describeValue(name)}, expected a day of ${oneLine(timeZone)} as 2026-11-28`,
  );
}

function parseZone(value: string): string {
  if (isTimeZone(value)) return value;
  throw new InvalidArgumentError(
    `Got ${describeValue(value)}, expected an IANA time zone, as Europe/Berlin.`,
  );
}

function parseFeature(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, parseText(value)];
}

function parseTolerance(value: string): number {
  const percent = /^\d{1,3}(?:\.\d{1,6})?$/.test(value) ? Number(value) : Number.NaN;
  if (percent <= 100) return percent;
  throw new InvalidArgumentError(`Got ${describeValue(value)}, expected a percentage, 0 to 100.`);
}
