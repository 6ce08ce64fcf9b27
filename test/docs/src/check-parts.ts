import type { CardOptions, GuardRouteOptions } from "@sluice/express";
import type {
  FlagFileOptions,
  MemoryAdmissionOptions,
  MemoryBudgetsOptions,
  StaticFeature,
} from "@sluice/guard";
import type { FunctionProviderOptions, OpenaiProviderOptions } from "@sluice/providers";
import { differences } from "./differences.ts";
import { codesIn, codesOf, tableUnder, type Page } from "./read-page.ts";
import { readText } from "./repository.ts";

/** One part: the heading of its table, all its options, and where its defaults stand. */
interface Part {
  readonly heading: string;
  readonly options: readonly string[];
  readonly source: string;
}

/** The names of all options, complete because the compiler sees to it. */
const all = <Options>(options: Readonly<Record<keyof Options, 0>>): readonly string[] =>
  Object.keys(options);

const PARTS: readonly Part[] = [
  {
    heading: "`guardRoute`",
    source: "packages/express/src/guard-route.ts",
    options: all<GuardRouteOptions<unknown, unknown, unknown, unknown>>({
      subject: 0,
      input: 0,
      attributes: 0,
      run: 0,
      bodyLimitBytes: 0,
      headers: 0,
      onOutcome: 0,
    }),
  },
  {
    heading: "The cards",
    source: "packages/express/src/cards.ts",
    options: all<CardOptions<unknown>>({
      subject: 0,
      safePath: 0,
      input: 0,
      attributes: 0,
      run: 0,
    }),
  },
  {
    heading: "`openaiProvider`",
    source: "packages/providers/src/openai-provider.ts",
    options: all<OpenaiProviderOptions<unknown>>({
      model: 0,
      prompt: 0,
      apiKey: 0,
      baseUrl: 0,
      name: 0,
      tokens: 0,
    }),
  },
  {
    heading: "`functionProvider`",
    source: "packages/providers/src/function-provider.ts",
    options: all<FunctionProviderOptions<unknown>>({
      name: 0,
      model: 0,
      inputTokens: 0,
      measures: 0,
    }),
  },
  {
    heading: "`memoryAdmission`",
    source: "packages/guard/src/stores/memory-admission.ts",
    options: all<MemoryAdmissionOptions>({
      userInFlight: 0,
      globalInFlight: 0,
      messageRate: 0,
      toolRate: 0,
      leaseMs: 0,
      maxLeases: 0,
      clock: 0,
    }),
  },
  {
    heading: "`memoryBudgets`",
    source: "packages/guard/src/stores/memory-budgets.ts",
    options: all<MemoryBudgetsOptions>({ maxRuns: 0, runIdleMs: 0, clock: 0 }),
  },
  {
    heading: "`flagFile`",
    source: "packages/guard/src/flags/flag-file.ts",
    options: all<FlagFileOptions>({ pollMs: 0, stableMs: 0, clock: 0 }),
  },
  {
    heading: "`staticFlags`",
    source: "packages/guard/src/flags/static-flags.ts",
    options: all<StaticFeature>({ enabled: 0, killed: 0, percent: 0, allowlist: 0, salt: 0 }),
  },
];

export function checkParts(page: Page): string[] {
  return PARTS.flatMap(({ heading, options, source }) => {
    const table = tableUnder(page, heading);
    const text = readText(source);
    return [
      ...differences(codesOf(table, "option"), options),
      ...table.rows.flatMap((row) => {
        const [name = ""] = codesIn(row("option"));
        const real = defaultIn(text, name);
        return isPlain(row("default")) === (real !== undefined) &&
          (real === undefined || row("default") === real)
          ? []
          : [`${name}: the default is ${real ?? "none that is a value"}`];
      }),
    ].map((fault) => `${heading}: ${fault}`);
  });
}

/** A number, a text or a boolean; anything else tells in words what happens without the option. */
function isPlain(cell: string): boolean {
  return /^(?:\d+|".*"|true|false)$/.test(cell);
}

/** The default that a schema gives a member, from its source: the schemas are nobody else's business. */
function defaultIn(source: string, name: string): string | undefined {
  const [, from = ""] = source.split(`\n  ${name}: z`);
  const [member = ""] = from.split(/\n {0,2}\S/);
  const [, value] = /\.default\(([^()]*)\),$/.exec(member) ?? [];
  if (value === undefined || !/^[\d_ *]+$/.test(value)) return value;
  const factors = value.replaceAll("_", "").split("*").map(Number);
  return String(factors.reduce((product, factor) => product * factor));
}
