import { globSync } from "node:fs";
import { relative } from "node:path";
import { appEnvSchema } from "@sluice/chat-express/environment";
import { switchNames, type FeatureFlags, type SwitchName } from "@sluice/contract";
import { flagVariableNames, parseEnvFlags, parseSwitches, type RawFlags } from "@sluice/policy";
import { differences } from "./differences.ts";
import { codesIn, codesOf, tableUnder, type Page, type Row } from "./read-page.ts";
import { readText, ROOT } from "./repository.ts";

const flagsHeading = "Flags (`envFlags`, `flagFile`)";
const switchesHeading = "Switches of the chat gateway (`readSwitches`)";

export function checkEnvironment(page: Page): string[] {
  return [
    ...checkFlags(page),
    ...checkSwitches(page),
    ...differences(codesOf(tableUnder(page, "`openaiProvider`"), "variable"), openaiVariables()),
    ...checkApp(page),
  ];
}

const feature = "<name>";
const unset: RawFlags = {
  enabled: undefined,
  kill: undefined,
  allowlist: undefined,
  percent: undefined,
};

/** How the page says what one flag is read as. */
const wordFor: Readonly<Record<keyof RawFlags, (flags: FeatureFlags) => string>> = {
  enabled: ({ enabled }) => (enabled ? "on" : "off"),
  kill: ({ killed }) => (killed ? "killed" : "no kill"),
  allowlist: ({ allowlist }) => (allowlist === undefined ? "no opinion" : "–"),
  percent: ({ percent }) => String(percent),
};

function checkFlags(page: Page): string[] {
  const { rows } = tableUnder(page, flagsHeading);
  const flags = Object.entries(flagVariableNames(feature)) as [keyof RawFlags, string][];
  return [
    ...differences(
      rows.flatMap((row) => codesIn(row("variable"))),
      flags.map(([, name]) => name),
    ),
    ...flags.flatMap(([flag, name]) => {
      const row = rows.find((candidate) => codesIn(candidate("variable")).includes(name));
      if (row === undefined) return [];
      const read = (value: string | undefined): string =>
        wordFor[flag](parseEnvFlags(feature, { ...unset, [flag]: value }));
      return [
        ...expectCell(row, name, "unset", read(undefined)),
        ...expectCell(row, name, "malformed", read("maybe?")),
        ...(flag === "kill" ? killsAmong(codesIn(row("values"))) : []),
      ];
    }),
  ];
}

/** The values that the page calls no kill, and that are one. */
function killsAmong(values: readonly string[]): string[] {
  return values
    .filter((kill) => parseEnvFlags(feature, { ...unset, kill }).killed)
    .map((kill) => `${kill} is a kill`);
}

function checkSwitches(page: Page): string[] {
  const table = tableUnder(page, switchesHeading);
  return [
    ...differences(codesOf(table, "variable"), switchNames),
    ...table.rows.flatMap((row) => {
      const [name = ""] = codesIn(row("variable"));
      return isSwitchName(name)
        ? [
            ...expectCell(row, name, "unset", readSwitch(name, undefined)),
            ...expectCell(row, name, "malformed", readSwitch(name, "maybe?")),
            ...expectCell(row, name, "obeyed by", obeyedBy(name)),
          ]
        : [];
    }),
  ];
}

/** Whose sources look at a switch: those of admission are looked at for who hands a guard some. */
function obeyedBy(name: SwitchName): string {
  if (stands("packages/guard/src", `.${name}`)) return "each guard";
  const isTheGateways =
    stands("packages/gateway/src", `.${name}`) || stands("packages/policy/src", `"${name}",`);
  return isTheGateways ? "chat gateways" : "nobody yet";
}

/** Whether a text is in the sources of a folder. */
function stands(folder: string, text: string): boolean {
  return globSync(`${folder}/**/*.ts`, { cwd: ROOT })
    .filter((path) => !path.endsWith(".test.ts"))
    .some((path) => readText(path).includes(text));
}

function readSwitch(name: SwitchName, value: string | undefined): string {
  return String(parseSwitches({ [name]: value }).switches[name]);
}

function isSwitchName(name: string): name is SwitchName {
  return (switchNames as readonly string[]).includes(name);
}

/** What the one place that reads the environment for the provider asks for. */
function openaiVariables(): readonly string[] {
  const source = readText("packages/providers/src/openai-env.ts");
  return [...new Set(source.match(/\bOPENAI_[A-Z_]+/g))];
}

function checkApp(page: Page): string[] {
  const table = tableUnder(page, "`apps/chat-express`");
  const names = Object.keys(appEnvSchema.shape);
  const defaults: Readonly<Record<string, unknown>> = appEnvSchema.parse({});
  return [
    ...differences(
      codesOf(table, "variable"),
      names.filter((name) => !openaiVariables().includes(name)),
    ),
    ...table.rows.flatMap((row) => {
      const [name = ""] = codesIn(row("variable"));
      const byDefault = defaults[name];
      return byDefault === undefined
        ? []
        : expectCell(row, name, "default", toDefault(name, byDefault));
    }),
  ];
}

/** A file's path is given from the repository's root, as code. */
function toDefault(name: string, value: unknown): string {
  return name.endsWith("_FILE") ? `\`${relative(ROOT, String(value))}\`` : String(value);
}

function expectCell(row: Row, name: string, column: string, real: string): string[] {
  return row(column) === real ? [] : [`${name}, ${column}: the code says ${real}`];
}
