import { describeValue } from "@sluice/contract";
import { Command, InvalidArgumentError } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { parseCount, parseText } from "../parse-value.ts";
import { isClosed } from "../verify-applied.ts";
import { assertCanPutBack, verifyFeature } from "../verify-feature.ts";
import { createProbeClient } from "../verify-probe.ts";
import { borrowRow, type BorrowedRow } from "../verify-row.ts";
import { printStep, type Step, type StepName } from "../verify-step.ts";

interface Options {
  readonly url: string;
  readonly tokenEnv: string;
  readonly subjects: number;
  readonly skip?: ReadonlySet<StepName>;
  readonly yes?: boolean;
}

const skippable: readonly StepName[] = ["narrowing", "kill", "isolation"];
const maxSubjects = 100_000;
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export function verifyCommand(context: CliContext): Command {
  return new Command("verify")
    .description(
      "proves on a running app that a feature gates, kills and keeps to itself; narrows and shuts it for seconds, then puts it back",
    )
    .argument("<feature>", "the feature", parseText)
    .requiredOption("--url <url>", "of the app's probe route, on one process", parseUrl)
    .option("--token-env <name>", "the variable that holds the route's token", "SLUICE_PROBE_TOKEN")
    .option("--subjects <n>", "how many subjects to make up", parseSubjects, 1000)
    .option("--skip <step>", `leave out ${skippable.join(", ")}; again for another`, parseSkip)
    .option("--yes", "agree to widen back without being asked")
    .addHelpText(
      "after",
      "\nExample:\n  SLUICE_PROBE_TOKEN=… sluice verify p3_advisory --url http://127.0.0.1:3000/sluice/probe\n",
    )
    .action((feature: string, options: Options) => verify(context, feature, options));
}

async function verify(context: CliContext, feature: string, options: Options): Promise<void> {
  const { url, tokenEnv, subjects, skip = new Set() } = options;
  const token = context.env[tokenEnv] ?? "";
  if (!/^[\x21-\x7e]{16,}$/.test(token)) {
    throw new CliFailure(
      exitCodes.usage,
      `no token: ${tokenEnv} must hold the probe route's, at least 16 characters`,
    );
  }
  await context.withSession(async (session) => {
    const row = await borrowRow(session, feature);
    assertCanPutBack(row, skip);
    if (options.yes !== true) await confirm(context, row, skip);
    const interrupt = listenForSignals();
    const { signal } = interrupt;
    const steps: Step[] = [];
    try {
      await verifyFeature({
        session,
        feature,
        probe: createProbeClient({ url, token, tokenVariable: tokenEnv, feature, signal }),
        row,
        subjects,
        skip,
        signal,
        onStep: (step) => {
          steps.push(step);
          context.say(printStep(step));
        },
      });
    } finally {
      interrupt.close();
    }
    finish(context, feature, steps);
  });
}

async function confirm(
  context: CliContext,
  { before }: BorrowedRow,
  skip: ReadonlySet<StepName>,
): Promise<void> {
  if (isClosed(before) || (skip.has("narrowing") && skip.has("kill"))) return;
  await context.confirm(before.feature, [
    `narrowed and shut for some seconds, then back to ${before.percent} percent`,
  ]);
}

function finish(context: CliContext, feature: string, steps: readonly Step[]): void {
  const failed = steps.filter(({ ok }) => !ok).map(({ step }) => step);
  const ok = failed.length === 0;
  context.show({ feature, ok, steps }, () => "");
  if (!ok) throw new CliFailure(exitCodes.checkFailed, `not verified: ${failed.join(", ")}`);
}

/** A signal ends what is under way, and the row is put back before the process ends. */
function listenForSignals(): { readonly signal: AbortSignal; close(): void } {
  const controller = new AbortController();
  const stop = (): void =>
    controller.abort(
      new CliFailure(exitCodes.checkFailed, "interrupted; the feature is as it was before"),
    );
  for (const name of signals) process.on(name, stop);
  return {
    signal: controller.signal,
    close() {
      for (const name of signals) process.off(name, stop);
    },
  };
}

function parseUrl(value: string): string {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password !== "") {
    throw new InvalidArgumentError("Expected http:// or https://, without a password.");
  }
  return url.href;
}

function parseSubjects(value: string): number {
  const count = parseCount(value);
  if (count > maxSubjects) {
    throw new InvalidArgumentError(`Got ${describeValue(value)}, expected at most ${maxSubjects}.`);
  }
  return count;
}

function parseSkip(
  value: string,
  previous: ReadonlySet<StepName> = new Set(),
): ReadonlySet<StepName> {
  const step = skippable.find((name) => name === value);
  if (step === undefined) {
    throw new InvalidArgumentError(
      `Got ${describeValue(value)}, expected ${skippable.join(", ")}.`,
    );
  }
  return new Set([...previous, step]);
}
