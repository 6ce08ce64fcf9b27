import { guardRoute } from "@sluice/express";
import { createGuard, defineContract, envFlags } from "@sluice/guard";
import { openaiProvider } from "@sluice/providers";
import express from "express";
import { z } from "zod";

const input = z.object({ text: z.string().min(1).max(4000) });
const guard = createGuard({
  feature: "faq_ai",
  contract: defineContract({
    ok: z.object({ status: z.literal("OK"), reply: z.string() }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  }),
  failed: ({ code }) => ({ status: "FAILED", code }),
  stub: () => ({ status: "OK", reply: "A person will answer you today." }),
  provider: openaiProvider({ model: "gpt-4o-mini", prompt: (q: { text: string }) => q.text }),
  flags: envFlags(),
  onFailure: "stub",
});
export const app = express();
app.post("/api/faq", guardRoute(guard, { subject: (req) => req.ip ?? "", input }));
