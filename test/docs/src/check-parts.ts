import type {
  AiSdkProviderOptions,
  GuardedLanguageModelOptions,
  GuardMiddlewareOptions,
  GuardModelOptions,
  SluiceCallOptions,
} from "@sluice/ai-sdk";
import type { TextRules } from "@sluice/contract";
import type { CardOptions, GuardRouteOptions } from "@sluice/express";
import type {
  defineContract,
  FlagFileOptions,
  MemoryAdmissionOptions,
  MemoryBudgetsOptions,
  StaticFeature,
  Tool,
} from "@sluice/guard";
import type {
  CustomProviderOptions,
  FunctionProviderOptions,
  OpenaiProviderOptions,
} from "@sluice/providers";
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
    heading: "`defineContract`",
    source: "packages/contract/src/define-contract.ts",
    options: all<Parameters<typeof defineContract>[0] & { readonly stub: unknown }>({
      ok: 0,
      failed: 0,
      stub: 0,
      text: 0,
    }),
  },
  {
    heading: "Plain text",
    source: "packages/contract/src/define-contract.ts",
    options: all<TextRules>({ field: 0, maxChars: 0, forbidden: 0 }),
  },
  {
    heading: "`defineTool`",
    source: "packages/guard/src/tools/prepare-tools.ts",
    options: all<Tool>({ description: 0, input: 0, run: 0, timeoutMs: 0 }),
  },
  {
    heading: "`guardRoute`",
    source: "packages/express/src/guard-route.ts",
    options: all<GuardRouteOptions<unknown, unknown, unknown, unknown>>({
      subject: 0,
      input: 0,
      attributes: 0,
      run: 0,
      provider: 0,
      requestId: 0,
      bodyLimitBytes: 0,
      stream: 0,
      headers: 0,
      rateLimitHeaders: 0,
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
      api: 0,
      fetch: 0,
    }),
  },
  {
    heading: "`customProvider`",
    source: "packages/providers/src/custom-provider.ts",
    options: all<CustomProviderOptions<unknown>>({
      name: 0,
      baseUrl: 0,
      model: 0,
      prompt: 0,
      apiKey: 0,
      auth: 0,
      headers: 0,
      query: 0,
      api: 0,
      tokens: 0,
      maxTokensField: 0,
      structuredOutput: 0,
      streamUsage: 0,
      fetch: 0,
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
    heading: "`aiSdkProvider`",
    source: "packages/ai-sdk/src/ai-sdk-provider.ts",
    options: all<AiSdkProviderOptions<unknown>>({
      model: 0,
      prompt: 0,
      models: 0,
      name: 0,
      tokens: 0,
      providerOptions: 0,
      headers: 0,
    }),
  },
  {
    heading: "`guardedLanguageModel`",
    source: "packages/ai-sdk/src/guard-middleware.ts",
    options: all<GuardedLanguageModelOptions>({
      model: 0,
      subject: 0,
      fallback: 0,
      tokens: 0,
      inputTokens: 0,
      feature: 0,
      flags: 0,
      optIn: 0,
      allowlist: 0,
      allowlistMode: 0,
      budget: 0,
      prices: 0,
      breaker: 0,
      admission: 0,
      tripwire: 0,
      gates: 0,
      timeoutMs: 0,
      firstContentTimeoutMs: 0,
      chunkTimeoutMs: 0,
      totalTimeoutMs: 0,
      stream: 0,
      maxStalenessMs: 0,
      sinks: 0,
      metrics: 0,
      openTelemetry: 0,
      clock: 0,
      newId: 0,
    }),
  },
  {
    heading: "`guardMiddleware`",
    source: "packages/ai-sdk/src/guard-middleware.ts",
    options: all<Omit<GuardMiddlewareOptions, keyof GuardModelOptions>>({ name: 0, modelId: 0 }),
  },
  {
    heading: "One call",
    source: "packages/ai-sdk/src/sluice-call-options.ts",
    options: all<SluiceCallOptions>({ subject: 0, run: 0, requestId: 0, attributes: 0 }),
  },
  {
    heading: "`memoryAdmission`",
    source: "packages/guard/src/stores/memory-admission.ts",
    options: all<MemoryAdmissionOptions>({
      userInFlight: 0,
      globalInFlight: 0,
      messageRate: 0,
      toolRate: 0,
      userBudget: 0,
      globalBudget: 0,
      timeZone: 0,
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
  // An empty list is nothing that a page would have to show.
  if (value === "[]") return undefined;
  if (value === undefined || !/^[\d_ *]+$/.test(value)) return value;
  const factors = value.replaceAll("_", "").split("*").map(Number);
  return String(factors.reduce((product, factor) => product * factor));
}
