import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, it } from "vitest";
import type { CliContext } from "./cli-context.ts";
import { exitCodeMeanings } from "./exit-codes.ts";
import { createProgram } from "./program.ts";

const page = readFileSync(new URL("../../../docs/reference/cli.md", import.meta.url), "utf8");

const never = () => {
  throw new Error("not called");
};
const context: CliContext = {
  env: {},
  withSession: never,
  show: never,
  say: never,
  confirm: never,
};
const program = createProgram(context, { out: never, err: never, onGlobals: never });

function leavesOf(command: Command, path: readonly string[] = []): readonly [string, Command][] {
  const own = [...path, command.name()];
  return command.commands.length === 0
    ? [[own.join(" "), command]]
    : command.commands.flatMap((child) => leavesOf(child, own));
}

const section = (title: string): string =>
  page.split(`\n## ${title}\n`)[1]?.split("\n## ")[0] ?? "";

it("the page has each command with its arguments, and no other", () => {
  const documented = [...section("Commands").matchAll(/^\| `([^`]+)` \|/gm)].map(
    ([, text]) => text,
  );
  const usages = leavesOf(program).map(([path, command]) =>
    [
      path,
      ...command.registeredArguments.map(
        (argument) => `<${argument.name()}${argument.variadic ? "..." : ""}>`,
      ),
    ].join(" "),
  );
  expect(new Set(documented)).toEqual(new Set(usages));
});

it("the page has an example of each command, and its exit codes", () => {
  const rows = section("Commands").match(/^\| `sluice .*$/gm) ?? [];
  const known = new Set(Object.keys(exitCodeMeanings));
  for (const [path] of leavesOf(program)) {
    expect(section("Examples")).toMatch(new RegExp(`${path}\\b`));
    const row = rows.find((text) => new RegExp(`^\\| \`${path}[ \`]`).test(text));
    const codes = /\| ([\d, ]+) \|$/.exec(row ?? "")?.[1]?.split(", ") ?? [];
    expect(codes.length).toBeGreaterThan(0);
    expect(known).toEqual(new Set([...known, ...codes]));
  }
});

it("the page has each option, and no other", () => {
  const documented = new Set([...page.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([name]) => name));
  const options = [program, ...leavesOf(program).map(([, command]) => command)]
    .flatMap((command) => command.options)
    .map((option) => option.long);
  expect(documented).toEqual(new Set(options));
});

it("the page has each exit code with its meaning, and no other", () => {
  const rows = [...section("Exit codes").matchAll(/^\| (\d+) \| (.+) \|$/gm)];
  expect(rows.map(([, code, meaning]) => [code, meaning])).toEqual(
    Object.entries(exitCodeMeanings),
  );
});

it.each(leavesOf(program))("the help of %s has an example", (path, command) => {
  let help = "";
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  expect(help).toMatch(new RegExp(`\\nExamples?:\\n {2}.*${path}`));
});
