import { defaultIn } from "./default-in.ts";
import { differences } from "./differences.ts";
import type { Option, Part } from "./part-options.ts";
import { gatewayParts, partsInWords } from "./parts-of-gateways.ts";
import { guardParts } from "./parts-of-guards.ts";
import { sqlParts } from "./parts-of-sql.ts";
import { storeParts } from "./parts-of-stores.ts";
import { codesIn, codesOf, tableUnder, type Page, type Row } from "./read-page.ts";
import { readText } from "./repository.ts";

const PARTS: readonly Part[] = [...guardParts, ...gatewayParts, ...storeParts, ...sqlParts];

export function checkParts(page: Page): string[] {
  return [
    ...checkPackages(page),
    ...PARTS.flatMap((part) => checkPart(page, part).map((fault) => `${part.heading}: ${fault}`)),
    ...Object.entries(partsInWords)
      .filter(([, words]) => !page.text.includes(words))
      .map(([name, words]) => `${name}: it is not told that ${words}`),
  ];
}

/** Each part stands beside all packages that give it to others. */
function checkPackages(page: Page): string[] {
  const table = tableUnder(page, "Where they are");
  const headings = PARTS.flatMap(({ heading }) => codesIn(heading));
  const names = [...new Set([...headings, ...Object.keys(partsInWords)])];
  return [
    ...differences([...new Set(codesOf(table, "parts"))], names),
    ...table.rows.flatMap((row) => {
      const [name = ""] = codesIn(row("package"));
      const listed = codesIn(row("parts"));
      const given = names.filter((part) => gives(name, part));
      return [
        ...listed
          .filter((part) => !given.includes(part))
          .map((part) => `${part} is not in ${name}`),
        ...given
          .filter((part) => !listed.includes(part))
          .map((part) => `${part} is in ${name} too`),
      ];
    }),
  ].map((fault) => `Where they are: ${fault}`);
}

/** Whether a package exports a name. */
function gives(name: string, part: string): boolean {
  const index = readText(`${name.replace(/^@sluice/, "packages")}/src/index.ts`);
  return new RegExp(`\\b${part}\\b`).test(index.replaceAll(/from "[^"]*"/g, ""));
}

function checkPart(page: Page, { heading, sources, options }: Part): string[] {
  const table = tableUnder(page, heading);
  const source = sources.map(readSource).join("\n");
  return [
    ...differences(codesOf(table, "option"), Object.keys(options)),
    ...table.rows.flatMap((row) =>
      codesIn(row("option")).flatMap((name) => {
        const option = options[name];
        return option === undefined ? [] : checkRow(row, name, option, defaultIn(source, name));
      }),
    ),
  ];
}

/** A file, or with a name behind `#` what that constant of it is. */
function readSource(source: string): string {
  const [path = "", name] = source.split("#");
  const text = readText(path);
  if (name === undefined) return text;
  const [, constant] = new RegExp(`\nexport const ${name} = ([^]*?)\n\\S`).exec(text) ?? [];
  if (constant === undefined) throw new Error(`${path} has no ${name}`);
  return `${constant}\n`;
}

function checkRow(
  row: Row,
  name: string,
  { isRequired, kind }: Option,
  real: string | undefined,
): string[] {
  const told = row("default");
  if (isRequired !== (told === "required")) {
    return [`${name} is ${isRequired ? "" : "not "}required`];
  }
  const isRight = isPlain(told) ? told === real : real === undefined;
  return [
    ...(isRight ? [] : [`${name}: the default is ${real ?? "none that is a value"}`]),
    ...(kind === undefined || row("type") === kind ? [] : [`${name}: the type is ${kind}`]),
  ];
}

/** A number, a text or a boolean; anything else tells in words what happens optionless the option. */
function isPlain(cell: string): boolean {
  return /^(?:\d+|".*"|true|false)$/.test(cell);
}
