import { commandOptions } from "./command-options.ts";
import { exitCodeMeanings, exitCodes } from "./exit-codes.ts";

/** What `slotgen --help` prints. */
export function helpText(): string {
  const options = Object.entries(commandOptions).map(([name, option]): [string, string] => [
    `${option.short === undefined ? "" : `-${option.short}, `}--${name}${option.takes === undefined ? "" : ` ${option.takes}`}`,
    option.default === undefined ? option.help : `${option.help} (default ${option.default})`,
  ]);
  const codes = Object.entries(exitCodes).map(([name, code]): [string, string] => [
    String(code),
    exitCodeMeanings[name as keyof typeof exitCodes],
  ]);
  const variables: [string, string][] = [
    ["FEATURE_SLOTGEN_AI", "true opens the AI path; it is shut otherwise"],
    ["SLOTGEN_AI_KILL", "true shuts it; so does anything but false, 0 and nothing"],
    ["SLOTGEN_AI_ALLOWLIST", "comma-separated job ids; only these"],
    ["SLOTGEN_AI_ROLLOUT_PERCENT", "0 to 100; so many of a hundred jobs (default 100)"],
    ["OPENAI_API_KEY", "without it every job gets its stub"],
    ["OPENAI_BASE_URL", "another host that speaks OpenAI's Chat Completions"],
    ["OPENAI_MODEL", "the model"],
  ];
  return [
    "slotgen run jobs.jsonl --out out.jsonl [options]",
    "",
    "Makes practice slots for each job of a file, through one budget. Stopped at any moment and started",
    "again with the same command, it goes on where it was: no finished job is made again, none is lost.",
    "",
    "Options",
    ...columns(options),
    "",
    "Environment (the first four also in the file of --flags)",
    ...columns(variables),
    "",
    "Exit codes",
    ...columns(codes),
  ].join("\n");
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`);
}
