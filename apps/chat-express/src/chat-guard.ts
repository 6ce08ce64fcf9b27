import type {
  AdmissionStore,
  EventSink,
  FlagSource,
  MetricSink,
  Price,
  RouteSource,
} from "@sluice/contract";
import { createGuard, type Guard } from "@sluice/guard";
import { customProvider, openaiProvider } from "@sluice/providers";
import type { z } from "zod";
import { chatContract, type ChatRequest } from "./chat-contract.ts";
import { legacyReply } from "./legacy-chat.ts";
import { openingHours } from "./opening-hours.ts";
import { ownAdmission } from "./shared-admission.ts";

export type ChatGuard = Guard<
  ChatRequest,
  z.output<typeof chatContract.ok>,
  z.output<typeof chatContract.failed>,
  z.output<typeof chatContract.stub>
>;

export interface ChatGuardOptions {
  readonly flags: FlagSource;
  readonly model: string;
  readonly timeoutMs: number;
  /** Of a token of either model; what a shadow may cost a day is counted by it. */
  readonly price: Price;
  readonly apiKey: string | undefined;
  readonly baseUrl: string | undefined;
  /** A second host, which stands in where the first fails and `FF_PROVIDER_FAILOVER_ENABLED` is true. */
  readonly custom: CustomHost | undefined;
  /** Who may be called, live. Default: all that there are, OpenAI first. */
  readonly routes?: RouteSource | undefined;
  /** Whose candidates count. */
  readonly environment?: string | undefined;
  readonly metrics?: MetricSink | undefined;
  /** Default: of this process alone. */
  readonly admission?: AdmissionStore | undefined;
  readonly sinks: readonly EventSink[];
}

export interface CustomHost {
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly model: string;
}

const instructions =
  "You are the help desk of a small shop. Answer in plain text, in a few sentences.";

const prompt = ({ messages }: ChatRequest) => [
  { role: "system" as const, content: instructions },
  ...messages,
];

export function chatGuard(options: ChatGuardOptions): ChatGuard {
  const { flags, model, timeoutMs, price, apiKey, baseUrl, custom, sinks } = options;
  const { admission = ownAdmission(), routes, environment = "prod", metrics } = options;
  const openai = openaiProvider({ model, apiKey, baseUrl, prompt });
  return createGuard({
    feature: "chat_ai",
    contract: chatContract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (chat: ChatRequest) => ({ status: "STUB", reply: legacyReply(chat) }),
    route: {
      providers:
        custom === undefined
          ? [openai]
          : [openai, customProvider({ name: "custom", ...custom, prompt })],
      environment,
      candidates: routes ?? [
        { provider: "openai", environment, isDefault: true },
        ...(custom === undefined ? [] : [{ provider: "custom", environment }]),
      ],
    },
    flags,
    tools: { opening_hours: openingHours },
    maxToolSteps: 2,
    prices: { [model]: price, ...(custom !== undefined && { [custom.model]: price }) },
    budget: { callsPerRun: 6, tokensPerRun: 8_000_000, maxOutputTokens: 800 },
    admission,
    timeoutMs,
    onFailure: "failed",
    sinks,
    ...(metrics !== undefined && { metrics }),
  });
}
