import { ConfigError } from "@sluice/guard";
import { describeValue } from "@sluice/contract";
import { parseArgs } from "node:util";
import { commandOptions, type OptionName } from "./command-options.ts";
import type { BatchCaps } from "./journal-record.ts";
import { parseUsd } from "./usd.ts";

/** What `slotgen run` was asked to do. */
export interface RunOptions {
  readonly jobs: string;
  readonly out: string;
  readonly flags: string | undefined;
  readonly allowlist: string | undefined;
  readonly prices: string | undefined;
  readonly caps: BatchCaps;
  readonly maxOutputTokens: number;
  readonly concurrency: number;
  readonly demoUpstream: boolean;
  readonly acceptStubs: boolean;
  readonly json: boolean;
}

export type Command =
  | { readonly kind: "help" }
  | { readonly kind: "run"; readonly options: RunOptions };

/**
 * Reads the command line.
 * @throws ConfigError: one line naming the option, what came and what was expected
 */
export function parseCommandLine(args: readonly string[]): Command {
  const { given, operands } = readTokens(args);
  if (given.has("help") || (args.length === 1 && args[0] === "help")) return { kind: "help" };
  const [command, jobs, ...rest] = operands;
  if (command !== "run")
    throw wrong("command", describeValue(command), "run (slotgen --help lists what there is)");
  if (jobs === undefined) throw wrong("jobs", "nothing", "a file of jobs: slotgen run jobs.jsonl");
  if (rest[0] !== undefined) throw wrong("operand", describeValue(rest[0]), "one file of jobs");
  const out = given.get("out");
  if (out === undefined) throw wrong("--out", "nothing", "a file for the answers");
  const costNanoUsd = readUsd("max-cost-usd", given);
  const prices = given.get("prices");
  if (costNanoUsd !== undefined && prices === undefined) {
    throw wrong("--prices", "nothing", "a file of prices, because --max-cost-usd is set");
  }
  return {
    kind: "run",
    options: {
      jobs,
      out,
      prices,
      flags: given.get("flags"),
      allowlist: given.get("allowlist"),
      caps: {
        calls: readNumber("max-calls", given, 0, 1_000_000_000),
        tokens: readNumber("max-tokens", given, 0, 1_000_000_000_000),
        ...(costNanoUsd === undefined ? {} : { costNanoUsd }),
      },
      maxOutputTokens: readNumber("max-output-tokens", given, 1, 1_000_000),
      concurrency: readNumber("concurrency", given, 1, 256),
      demoUpstream: given.has("demo-upstream"),
      acceptStubs: given.has("accept-stubs"),
      json: given.has("json"),
    },
  };
}

type Given = ReadonlyMap<OptionName, string>;

function readTokens(args: readonly string[]): { given: Given; operands: readonly string[] } {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(commandOptions).map(([name, { takes, short }]) => [
        name,
        {
          type: takes === undefined ? ("boolean" as const) : ("string" as const),
          ...(short === undefined ? {} : { short }),
        },
      ]),
    ),
    // Its own complaints are several sentences, and name no expectation.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<OptionName, string>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    if (!isOption(name)) throw wrong(rawName, "an unknown option", "one that slotgen --help lists");
    if (given.has(name)) throw wrong(rawName, "it a second time", "it once");
    const { takes } = commandOptions[name];
    if (takes === undefined && value !== undefined)
      throw wrong(rawName, describeValue(value), "no value");
    // `--out --json` forgot the file; `--max-calls -1` is a wrong number and says so below.
    if (takes !== undefined && (value === undefined || value === "" || value.startsWith("--"))) {
      throw wrong(rawName, "nothing", `a ${takes.toLowerCase()}`);
    }
    given.set(name, value ?? "");
  }
  return { given, operands };
}

const isOption = (name: string): name is OptionName => Object.hasOwn(commandOptions, name);

function readNumber(name: OptionName, given: Given, min: number, max: number): number {
  const text = given.get(name) ?? commandOptions[name].default ?? "";
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw wrong(`--${name}`, describeValue(text), `a whole number from ${min} to ${max}`);
}

function readUsd(name: OptionName, given: Given): number | undefined {
  const text = given.get(name);
  if (text === undefined) return undefined;
  const nanoUsd = parseUsd(text);
  if (nanoUsd !== undefined) return nanoUsd;
  throw wrong(`--${name}`, describeValue(text), "dollars up to a million, like 1.50");
}

function wrong(option: string, got: string, expected: string): ConfigError {
  return new ConfigError({ option, got, expected });
}
