// #region
import { aiSdkProvider, guardedLanguageModel } from "@sluice/ai-sdk";
import { streamText } from "ai";
// #endregion
import type { AiSdkProviderOptions } from "@sluice/ai-sdk";
import type { FlagSource } from "@sluice/contract";
import { createGuard, defineContract, type Guard } from "@sluice/guard";
import { z } from "zod";

export interface Question {
  readonly text: string;
}

type Model = AiSdkProviderOptions<unknown>["model"];

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
});

export function guardOver(
  openai: (id: string) => Model,
  flags: FlagSource,
): Guard<Question, unknown, unknown, unknown> {
  // #region +
  const provider = aiSdkProvider({
    name: "openai",
    model: openai("gpt-4o-mini"),
    models: openai, // for candidates of a route that name another model
    prompt: ({ text }: Question) => text,
  });
  // #endregion
  return createGuard({
    feature: "help_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK", reply: "A person will answer you today." }),
    provider,
    flags,
    onFailure: "failed",
    sinks: [() => undefined],
  });
}

export function guardModel(
  openai: (id: string) => Model,
  flags: FlagSource,
  currentUser: () => { readonly id: string },
  cannedModel: Model,
) {
  // #region
  const model = guardedLanguageModel({
    model: openai("gpt-4o-mini"),
    feature: "write_ai",
    flags,
    subject: () => currentUser().id, // asked on each call
    budget: { callsPerRun: 3, maxOutputTokens: 800 },
    fallback: cannedModel, // the safe path; without it, SluiceDeniedError
  });
  // #endregion
  return model;
}

export function writeWith(
  model: ReturnType<typeof guardModel>,
  prompt: string,
  requestId: string,
): ReturnType<typeof streamText> {
  // #region
  const result = streamText({
    model,
    prompt,
    providerOptions: { sluice: { requestId, run: requestId } },
  });
  // #endregion
  return result;
}
