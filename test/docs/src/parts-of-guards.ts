import type {
  AiSdkProviderOptions,
  GuardedLanguageModelOptions,
  GuardMiddlewareOptions,
  GuardModelOptions,
  SluiceCallOptions,
} from "@sluice/ai-sdk";
import type {
  CardOptions,
  countResponses,
  GuardRouteOptions,
  ProbeRouteOptions,
} from "@sluice/express";
import type { defineContract, Tool } from "@sluice/guard";
import type {
  CustomProviderOptions,
  FunctionProviderOptions,
  OpenaiProviderOptions,
} from "@sluice/providers";
import { all, optional, required, type Part } from "./part-options.ts";

/** What a route, a provider and a guarded model are put together from. */
export const guardParts: readonly Part[] = [
  {
    heading: "`defineContract`",
    sources: ["packages/contract/src/define-contract.ts"],
    options: all<Parameters<typeof defineContract>[0] & { readonly stub?: unknown }>({
      ok: required(),
      failed: required(),
      stub: optional(),
      text: optional(),
    }),
  },
  {
    heading: "Plain text",
    sources: ["packages/contract/src/define-contract.ts"],
    options: all<NonNullable<Parameters<typeof defineContract>[0]["text"]>>({
      field: required(),
      maxChars: optional(),
      forbidden: optional(),
    }),
  },
  {
    heading: "`defineTool`",
    sources: ["packages/guard/src/tools/prepare-tools.ts"],
    options: all<Tool>({
      description: required(),
      input: required(),
      run: required(),
      timeoutMs: optional(),
    }),
  },
  {
    heading: "`guardRoute`",
    sources: ["packages/express/src/guard-route.ts"],
    options: all<GuardRouteOptions<unknown, unknown, unknown, unknown>>({
      subject: required(),
      input: required(),
      attributes: optional(),
      run: optional(),
      provider: optional(),
      requestId: optional(),
      bodyLimitBytes: optional(),
      stream: optional(),
      headers: optional(),
      rateLimitHeaders: optional(),
      onOutcome: optional(),
    }),
  },
  {
    heading: "`probeRoute`",
    sources: ["packages/express/src/probe-route.ts"],
    options: all<ProbeRouteOptions<unknown>>({
      token: required("text"),
      sample: optional("function"),
      instance: optional("text"),
    }),
  },
  {
    heading: "The cards",
    sources: ["packages/express/src/cards.ts"],
    options: all<CardOptions<unknown>>({
      subject: required(),
      safePath: required(),
      input: optional(),
      attributes: optional(),
      run: optional(),
    }),
  },
  {
    heading: "`openaiProvider`",
    sources: ["packages/providers/src/openai-provider.ts"],
    options: all<OpenaiProviderOptions<unknown>>({
      model: required(),
      prompt: required(),
      apiKey: optional(),
      baseUrl: optional(),
      name: optional(),
      tokens: optional(),
      api: optional(),
      fetch: optional(),
    }),
  },
  {
    heading: "`customProvider`",
    sources: ["packages/providers/src/custom-provider.ts"],
    options: all<CustomProviderOptions<unknown>>({
      name: required(),
      baseUrl: required(),
      model: required(),
      prompt: required(),
      apiKey: optional(),
      auth: optional(),
      headers: optional(),
      query: optional(),
      api: optional(),
      tokens: optional(),
      maxTokensField: optional(),
      structuredOutput: optional(),
      streamUsage: optional(),
      fetch: optional(),
    }),
  },
  {
    heading: "`functionProvider`",
    sources: ["packages/providers/src/function-provider.ts"],
    options: all<FunctionProviderOptions<unknown>>({
      name: optional(),
      model: optional(),
      inputTokens: optional(),
      measures: optional(),
    }),
  },
  {
    heading: "`aiSdkProvider`",
    sources: ["packages/ai-sdk/src/ai-sdk-provider.ts"],
    options: all<AiSdkProviderOptions<unknown>>({
      model: required(),
      prompt: required(),
      models: optional(),
      name: optional(),
      tokens: optional(),
      providerOptions: optional(),
      headers: optional(),
    }),
  },
  {
    heading: "`guardedLanguageModel`",
    sources: ["packages/ai-sdk/src/guard-middleware.ts"],
    options: all<GuardedLanguageModelOptions>({
      model: required(),
      subject: required(),
      fallback: optional(),
      tokens: optional(),
      inputTokens: optional(),
      feature: required(),
      flags: required(),
      optIn: optional(),
      allowlist: optional(),
      allowlistMode: optional(),
      budget: optional(),
      prices: optional(),
      breaker: optional(),
      admission: optional(),
      tripwire: optional(),
      gates: optional(),
      timeoutMs: optional(),
      firstContentTimeoutMs: optional(),
      chunkTimeoutMs: optional(),
      totalTimeoutMs: optional(),
      stream: optional(),
      maxStalenessMs: optional(),
      sinks: optional(),
      metrics: optional(),
      openTelemetry: optional(),
      clock: optional(),
      newId: optional(),
    }),
  },
  {
    heading: "`guardMiddleware`",
    sources: ["packages/ai-sdk/src/guard-middleware.ts"],
    options: all<Omit<GuardMiddlewareOptions, keyof GuardModelOptions>>({
      name: optional(),
      modelId: optional(),
    }),
  },
  {
    heading: "One call",
    sources: ["packages/ai-sdk/src/sluice-call-options.ts"],
    options: all<SluiceCallOptions>({
      subject: optional(),
      run: optional(),
      requestId: optional(),
      attributes: optional(),
    }),
  },
];

/** Never where a part takes more than the guard. */
type WithoutOptions<Make extends (...given: never) => unknown> =
  Parameters<Make>["length"] extends 1 ? true : never;

export const partsWithoutOptions: Readonly<
  Record<"countResponses", WithoutOptions<typeof countResponses>>
> = { countResponses: true };
