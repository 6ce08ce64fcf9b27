import type { ChatInput } from "@sluice/gateway";
import { createGuard, flagFile, memoryAdmission, type SluiceEvent } from "@sluice/guard";
import { shared } from "@sluice/next";
import { openaiProvider } from "@sluice/providers";
import { parseAppEnv } from "./app-env.ts";
import { chatContract, stubReply } from "./chat-contract.ts";
import { startLocalUpstream } from "./local-upstream.ts";

const instructions =
  "You are the help desk of a small shop. Answer in plain text, in a few sentences.";

/** The one guard of this process, whichever bundle asks for it. */
export const chatGuard = () => shared("chat-guard", makeGuard);

async function makeGuard() {
  const env = parseAppEnv(process.env);
  const local = env.OPENAI_API_KEY === undefined ? await startLocalUpstream() : undefined;
  return createGuard({
    feature: "chat_ai",
    contract: chatContract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: stubReply,
    provider: openaiProvider({
      model: env.OPENAI_MODEL,
      // Else the provider reads its own variables, and says which of them is wrong.
      apiKey: local === undefined ? undefined : "local",
      baseUrl: local,
      prompt: ({ messages }: ChatInput) => [{ role: "system", content: instructions }, ...messages],
    }),
    flags: flagFile(env.SLUICE_FLAGS_FILE),
    onFailure: "failed",
    budget: { callsPerRun: 4, tokensPerRun: 8_000_000, maxOutputTokens: 800 },
    admission: memoryAdmission({
      userInFlight: { limit: 2 },
      globalInFlight: { limit: 200 },
      messageRate: { count: 600, perMs: 60_000, burst: 120 },
    }),
    sinks: [printAlert],
  });
}

function printAlert(event: SluiceEvent): void {
  if (event.event === "alert") console.error(JSON.stringify(event));
}
