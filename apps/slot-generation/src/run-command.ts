import {
  ConfigError,
  describeValue,
  priceTableSchema,
  type FlagSource,
  type PriceTable,
  type SluiceEvent,
} from "@sluice/contract";
import { envFlags, flagFile, memoryBudgets, systemClock } from "@sluice/guard";
import { openaiProvider } from "@sluice/providers";
import { stat } from "node:fs/promises";
import { allowlistSchema } from "./allowlist-schema.ts";
import type { RunOptions } from "./command-line.ts";
import { startDemoUpstream, type DemoUpstream } from "./demo-upstream.ts";
import { errorCode, isSystemError } from "./error-code.ts";
import { exitCodeOf } from "./exit-code-of.ts";
import type { ExitCode } from "./exit-codes.ts";
import { journaledProvider } from "./journaled-provider.ts";
import { openBatch, type Batch } from "./open-batch.ts";
import { parseEnv } from "./parse-env.ts";
import { showProgress } from "./progress.ts";
import { readJsonFile } from "./read-json-file.ts";
import { runBatch } from "./run-batch.ts";
import { batchRun, createSlotGuard } from "./slot-guard.ts";
import { slotPrompt } from "./slot-prompt.ts";
import { createStopper } from "./stopper.ts";
import { summaryJson, summaryText } from "./summary.ts";
import type { Terminal } from "./terminal.ts";
import { watchBudgets } from "./watched-budgets.ts";

const clock = systemClock;

/**
 * `slotgen run`.
 * @throws ConfigError for what is wrong before the first job
 */
export async function runCommand(options: RunOptions, terminal: Terminal): Promise<ExitCode> {
  const note = (line: string): void => terminal.note(`slotgen: ${line}`);
  const { model } = parseEnv(process.env);
  const prices = await readPrices(options, model);
  const allowlist =
    options.allowlist === undefined
      ? undefined
      : await readJsonFile("--allowlist", options.allowlist, allowlistSchema);
  await assertFlagsFile(options.flags);
  const batch = await openBatch(options);
  const flags = options.flags === undefined ? envFlags() : flagFile(options.flags);
  let upstream: DemoUpstream | undefined;
  try {
    if (options.demoUpstream) {
      upstream = await startDemoUpstream();
      note(`a stand-in on this machine answers (${upstream.baseUrl}); no model is called`);
    }
    return await runOn({
      options,
      terminal,
      note,
      batch,
      flags,
      model,
      prices,
      allowlist,
      upstream,
    });
  } finally {
    flags.close();
    await upstream?.stop();
    await batch.close();
  }
}

async function runOn(parts: {
  readonly options: RunOptions;
  readonly terminal: Terminal;
  readonly note: (line: string) => void;
  readonly batch: Batch;
  readonly flags: FlagSource;
  readonly model: string;
  readonly prices: PriceTable | undefined;
  readonly allowlist: Parameters<typeof createSlotGuard>[0]["allowlist"];
  readonly upstream: DemoUpstream | undefined;
}): Promise<ExitCode> {
  const { options, terminal, note, batch, flags, model, prices, allowlist, upstream } = parts;
  const { journal, tally } = batch;
  const { account } = journal;
  const startedMs = clock.monotonicMs();
  const stopper = createStopper(process, (signal) => note(`${signal}: stopping`));
  const budgets = watchBudgets(memoryBudgets());
  const guard = createSlotGuard({
    provider: journaledProvider({
      provider: openaiProvider({
        model,
        prompt: slotPrompt,
        ...(upstream === undefined ? {} : { baseUrl: upstream.baseUrl, apiKey: "demo" }),
      }),
      journal,
      price: prices?.[model],
      onBroken: (error) => stopper.break(error),
    }),
    flags,
    allowlist,
    caps: options.caps,
    maxOutputTokens: options.maxOutputTokens,
    prices,
    budgets: budgets.store,
    sinks: [(event) => noteAlert(event, note)],
  });
  const progress = showProgress({
    terminal,
    clock,
    tally,
    totalBytes: batch.fingerprint.bytes,
  });
  try {
    if (account.lastStart !== undefined) {
      const { calls } = account.use;
      note(`going on: ${tally.finished} jobs finished earlier, ${calls} calls charged`);
    }
    const { shut, providers } = guard.describe();
    await journal.write({
      type: "start",
      v: 1,
      jobs: batch.fingerprint,
      caps: options.caps,
      open: shut === undefined && providers.some(({ notReady }) => notReady === undefined),
    });
    guard.budget.restore(batchRun, account.use);
    await runBatch({
      batch,
      guard,
      budgets,
      concurrency: options.concurrency,
      acceptStubs: options.acceptStubs,
      stopper,
      progress,
      note,
    });
  } catch (error) {
    stopper.break(error);
  } finally {
    stopper.close();
    await journal.settled();
    guard.close();
    progress.end();
  }
  if (stopper.broken !== undefined) {
    const { error } = stopper.broken;
    if (!isSystemError(error)) throw error;
    note(`the run broke off: ${errorCode(error)} on one of its files`);
  }
  const exitCode = exitCodeOf(stopper, tally);
  const result = {
    priced: prices?.[model] !== undefined,
    tally,
    account,
    caps: options.caps,
    elapsedMs: clock.monotonicMs() - startedMs,
    reachedEnd: !stopper.signal.aborted,
    exitCode,
  };
  terminal.print(options.json ? summaryJson(result) : summaryText(result));
  return exitCode;
}

async function readPrices(options: RunOptions, model: string): Promise<PriceTable | undefined> {
  if (options.prices === undefined) return undefined;
  const prices = await readJsonFile("--prices", options.prices, priceTableSchema);
  if (options.caps.costNanoUsd !== undefined && !Object.hasOwn(prices, model)) {
    throw new ConfigError({
      option: "--prices",
      got: `no price for the model ${describeValue(model)}`,
      expected: "one, because --max-cost-usd is set",
    });
  }
  return prices;
}

/** A flag file may come and go while a batch runs; one that is not there at the start is a slip. */
async function assertFlagsFile(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  try {
    if ((await stat(path)).isFile()) return;
  } catch {
    // Said below.
  }
  throw new ConfigError({
    option: "--flags",
    got: `${describeValue(path)}, which is no file`,
    expected: "a flag file in .env form",
  });
}

function noteAlert(event: SluiceEvent, note: (line: string) => void): void {
  if (event.event === "alert") note(event.message);
}
