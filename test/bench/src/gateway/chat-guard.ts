import type { ChatInput } from "@sluice/gateway";
import { createGuard, envFlags, type Guard, type GuardOptions } from "@sluice/guard";
import { openaiProvider } from "@sluice/providers";
import type { z } from "zod";
import { chatContract, maxOutputTokens, model } from "./chat-contract.ts";

type Ok = typeof chatContract.ok;
type Failed = typeof chatContract.failed;
type Stub = typeof chatContract.stub;
type Options = GuardOptions<ChatInput, Ok, Failed, Stub>;

const patienceMs = 120_000;

/** A guard with its gates on, over the upstream; its flags are read live from `variables`. */
export function chatGuard(parts: {
  readonly baseUrl: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly admission: NonNullable<Options["admission"]>;
  readonly observers?: Pick<Options, "sinks" | "metrics">;
}): Guard<ChatInput, z.output<Ok>, z.output<Failed>, z.output<Stub>> {
  return createGuard({
    feature: "bench",
    contract: chatContract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "STUB", reply: "stub" }),
    provider: openaiProvider({
      model,
      apiKey: "bench",
      baseUrl: parts.baseUrl,
      prompt: ({ messages }: ChatInput) => messages,
    }),
    flags: envFlags({ variables: parts.variables }),
    budget: { callsPerRun: 4, tokensPerRun: 1_000_000, maxOutputTokens },
    prices: { [model]: { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 } },
    admission: parts.admission,
    // On a busy machine the pace is slower than it was meant; that is not what is measured.
    timeoutMs: patienceMs,
    firstContentTimeoutMs: patienceMs,
    chunkTimeoutMs: patienceMs,
    totalTimeoutMs: patienceMs,
    onFailure: "failed",
    ...parts.observers,
  });
}
