import { ConfigError } from "@sluice/guard";
import { describe, expect, test } from "vitest";
import { parseCommandLine, type RunOptions } from "./command-line.ts";

function run(...args: string[]): RunOptions {
  const command = parseCommandLine(["run", "jobs.jsonl", "--out", "out.jsonl", ...args]);
  if (command.kind !== "run") throw new Error("not a run");
  return command.options;
}

function fault(...args: string[]): string {
  try {
    parseCommandLine(args);
  } catch (error) {
    if (ConfigError.isInstance(error)) return error.message;
    throw error;
  }
  throw new Error("accepted");
}

test("what is not given has a safe default", () => {
  expect(run()).toStrictEqual({
    jobs: "jobs.jsonl",
    out: "out.jsonl",
    flags: undefined,
    allowlist: undefined,
    prices: undefined,
    caps: { calls: 50, tokens: 100_000 },
    maxOutputTokens: 800,
    concurrency: 4,
    demoUpstream: false,
    acceptStubs: false,
    json: false,
  });
});

test("every option is read, in either spelling of its value", () => {
  const given =
    "--flags=flags.env --allowlist rules.json --prices prices.json --max-calls 0 --max-tokens=7 --max-cost-usd 1.5 --max-output-tokens 9 --concurrency 2 --demo-upstream --accept-stubs --json";
  const options = run(...given.split(" "));
  expect(options).toMatchObject({
    flags: "flags.env",
    allowlist: "rules.json",
    prices: "prices.json",
    caps: { calls: 0, tokens: 7, costNanoUsd: 1_500_000_000 },
    maxOutputTokens: 9,
    concurrency: 2,
    demoUpstream: true,
    acceptStubs: true,
    json: true,
  });
});

test.each([[["--help"]], [["-h"]], [["help"]], [["run", "--help"]]])("%j asks for help", (args) => {
  expect(parseCommandLine(args)).toStrictEqual({ kind: "help" });
});

describe("a wrong command line is one line: the option, what came, what was expected", () => {
  const job = ["run", "jobs.jsonl"];
  const both = [...job, "--out", "out.jsonl"];
  test.each([
    [[], "command: got nothing, expected run (slotgen --help lists what there is)"],
    [["walk"], 'command: got "walk", expected run (slotgen --help lists what there is)'],
    [["run"], "jobs: got nothing, expected a file of jobs: slotgen run jobs.jsonl"],
    [job, "--out: got nothing, expected a file for the answers"],
    [[...job, "--out"], "--out: got nothing, expected a file"],
    [[...job, "--out", "--json"], "--out: got nothing, expected a file"],
    [[...job, "--out="], "--out: got nothing, expected a file"],
    [[...both, "more"], 'operand: got "more", expected one file of jobs'],
    [[...both, "--frob"], "--frob: got an unknown option, expected one that slotgen --help lists"],
    [[...both, "-x"], "-x: got an unknown option, expected one that slotgen --help lists"],
    [
      [...both, "--__proto__"],
      "--__proto__: got an unknown option, expected one that slotgen --help lists",
    ],
    [[...both, "--out", "b"], "--out: got it a second time, expected it once"],
    [[...both, "--json=yes"], '--json: got "yes", expected no value'],
    [
      [...both, "--max-calls", "-1"],
      '--max-calls: got "-1", expected a whole number from 0 to 1000000000',
    ],
    [
      [...both, "--max-calls", "1e3"],
      '--max-calls: got "1e3", expected a whole number from 0 to 1000000000',
    ],
    [
      [...both, "--concurrency", "0"],
      '--concurrency: got "0", expected a whole number from 1 to 256',
    ],
    [
      [...both, "--prices", "p", "--max-cost-usd", "1,50"],
      '--max-cost-usd: got "1,50", expected dollars up to a million, like 1.50',
    ],
    [
      [...both, "--max-cost-usd", "1"],
      "--prices: got nothing, expected a file of prices, because --max-cost-usd is set",
    ],
  ])("%j", (args, message) => {
    expect(fault(...args)).toBe(message);
  });

  test("also when it holds what could forge a line of a log", () => {
    expect(fault(...both, "--fr\nob\u{1b}[2J")).not.toMatch(/\p{Cc}/u);
  });
});
