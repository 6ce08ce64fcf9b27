import type {
  EventSink,
  FlagSource,
  Provider,
  ProviderConfig,
  RouteSource,
} from "@sluice/contract";
import { createGuard, defineContract, type Guard, type Outcome } from "@sluice/guard";
import { customProvider } from "@sluice/providers";
import { z } from "zod";

export interface Question {
  readonly text: string;
}

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
});

const feature = {
  feature: "help_ai",
  contract,
  failed: ({ code }: { readonly code: string }) => ({ status: "FAILED", code }) as const,
  stub: () => ({ status: "OK", reply: "A person will answer you today." }) as const,
  onFailure: "failed",
} as const;

export type HelpGuard = Guard<Question, unknown, unknown, unknown>;

export function guardOverTwo(
  openai: Provider<Question>,
  azure: Provider<Question>,
  flags: FlagSource,
  sinks: readonly EventSink[],
): HelpGuard {
  return createGuard({
    ...feature,
    flags,
    sinks,
    // #region
    route: {
      providers: [openai, azure],
      candidates: [
        { provider: "openai", isDefault: true, timeoutMs: 10_000 },
        { provider: "azure", timeoutMs: 10_000 },
      ],
    },
    // #endregion
  });
}

/** A run has one call. */
export function guardWithOneCall(
  providers: readonly Provider<Question>[],
  flags: FlagSource,
): HelpGuard {
  return createGuard({
    ...feature,
    flags,
    sinks: [() => undefined],
    route: {
      providers,
      candidates: providers.map(({ name }) => ({ provider: name })),
      failover: true,
    },
    budget: { callsPerRun: 1, maxOutputTokens: 800 },
  });
}

export function guardByWeight(
  providers: readonly Provider<Question>[],
  flags: FlagSource,
): HelpGuard {
  return createGuard({
    ...feature,
    flags,
    sinks: [() => undefined],
    route: {
      providers,
      failover: true,
      // #region
      strategy: "weighted",
      candidates: [
        { provider: "openai", weight: 90 },
        { provider: "azure", weight: 10 },
      ],
      // #endregion
    },
  });
}

export function guardByRequest(
  providers: readonly Provider<Question>[],
  source: RouteSource,
  flags: FlagSource,
): HelpGuard {
  return createGuard({
    ...feature,
    flags,
    sinks: [() => undefined],
    route: { providers, candidates: source, strategy: "requested" },
  });
}

export async function askFor(
  guard: HelpGuard,
  question: Question,
  subject: string,
): Promise<Outcome<unknown, unknown, unknown>> {
  // #region
  const outcome = await guard.run(question, { subject, provider: "azure" });
  // #endregion
  return outcome;
}

export function liveRoute(first: readonly ProviderConfig[]): {
  readonly source: RouteSource;
  readonly replace: (rows: readonly ProviderConfig[]) => void;
} {
  // #region
  let rows: readonly ProviderConfig[] = first;
  const source: RouteSource = { name: "our table", read: () => rows };
  // #endregion
  return {
    source,
    replace(changed) {
      rows = changed;
    },
  };
}

export function azureProvider(
  endpoint: string,
  readSecret: (name: string) => Promise<string>,
): Provider<Question> {
  const prompt = ({ text }: Question): string => text;
  // #region
  const azure = customProvider({
    name: "azure",
    baseUrl: `${endpoint}/openai/deployments/mini`,
    query: { "api-version": "2024-10-21" },
    auth: "api-key", // the header that takes the key; "bearer" elsewhere
    apiKey: () => readSecret("azure"), // asked on each call, for keys that change
    model: "gpt-4o-mini",
    maxTokensField: "max_completion_tokens", // most other hosts know "max_tokens"
    prompt,
  });
  // #endregion
  return azure;
}
