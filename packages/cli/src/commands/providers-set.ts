import { maxAttemptMs } from "@sluice/contract";
import { Command } from "commander";
import { changeProvider, type ProviderPatch } from "../change-provider.ts";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { yesOption } from "../flag-options.ts";
import { changed, nameBlockers } from "../name-blockers.ts";
import { integerIn, orNone, parseBoolean, parseName } from "../parse-value.ts";
import { printProviders } from "../provider-row.ts";

interface Options extends Pick<ProviderPatch, "enabled" | "weight" | "position"> {
  readonly default?: true;
  readonly timeoutMs?: number | "none";
  readonly maxRetries?: number | "none";
  readonly model?: string;
  readonly promptTemplateVersion?: string;
  readonly environment: string;
  readonly create?: boolean;
  readonly yes?: boolean;
}

const maxWeight = 1_000_000;
const maxRetries = 10;
const maxInteger = 2_147_483_647;

export function providersSetCommand(context: CliContext): Command {
  return new Command("set")
    .description("set what is named of a provider; asks before it may get requests it did not get")
    .argument("<provider>", "its name", parseName)
    .option("--environment <name>", "which environment's", parseName, "prod")
    .option("--enabled <true|false>", "whether it may be called", parseBoolean)
    .option("--default", "make it the first choice, instead of the one that is")
    .option("--weight <n>", "its share when drawn by weight, 0 to 1000000", integerIn(0, maxWeight))
    .option(
      "--timeout-ms <n|none>",
      "limit of one attempt; none is the guard's",
      orNone(integerIn(1, maxAttemptMs)),
    )
    .option(
      "--max-retries <n|none>",
      "further attempts at it, 0 to 10; none is the guard's",
      orNone(integerIn(0, maxRetries)),
    )
    .option("--model <name|none>", "none is the provider's own", orNone(parseName))
    .option("--prompt-template-version <text|none>", "as the records tell it", orNone(parseName))
    .option(
      "--position <n>",
      "its place in the order; the smallest is first",
      integerIn(-maxInteger, maxInteger),
    )
    .option("--create", "make the provider where it is unknown")
    .addOption(yesOption())
    .addHelpText(
      "after",
      "\nExamples:\n  sluice providers set custom --enabled false\n  sluice providers set custom --enabled true --default --yes\n",
    )
    .action(async (provider: string, options: Options) => {
      const { environment, create, yes } = options;
      const patch = toPatch(options);
      if (Object.keys(patch).length === 0) {
        throw new CliFailure(
          exitCodes.usage,
          "nothing to set: give --enabled, --default, --weight, --timeout-ms, --max-retries, --model, --prompt-template-version or --position",
        );
      }
      await context.withSession(async (session) => {
        const what = { environment, provider };
        const row = await nameBlockers(context, session, { what, ...changed }, (watched) =>
          changeProvider(context, watched, {
            environment,
            provider,
            patch,
            yes: yes === true,
            create: create === true,
          }),
        );
        context.show(row, () => printProviders([row]));
      });
    });
}

function toPatch(options: Options): ProviderPatch {
  const { enabled, weight, timeoutMs, maxRetries: retries, model, position } = options;
  const { default: isDefault, promptTemplateVersion } = options;
  return {
    ...(enabled !== undefined && { enabled }),
    ...(isDefault === true && { isDefault }),
    ...(weight !== undefined && { weight }),
    ...(timeoutMs !== undefined && { timeoutMs: nullOfNone(timeoutMs) }),
    ...(retries !== undefined && { maxRetries: nullOfNone(retries) }),
    ...(model !== undefined && { model: nullOfNone(model) }),
    ...(promptTemplateVersion !== undefined && {
      promptTemplateVersion: nullOfNone(promptTemplateVersion),
    }),
    ...(position !== undefined && { position }),
  };
}

const nullOfNone = <Value extends string | number>(
  value: Value | "none",
): Exclude<Value, "none"> | null => (value === "none" ? null : (value as Exclude<Value, "none">));
