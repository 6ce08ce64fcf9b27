import { defineContract } from "@sluice/guard";
import { z } from "zod";

const reply = z.string().min(1);

/** What `/api/chat` answers while the gateway is in front of it. */
export const chatContract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply }),
  // The model writes plain text, which flows to the page as it comes.
  text: { field: "reply", maxChars: 16_000 },
});

export const chatRequestSchema = z.object({
  messages: z
    .array(
      z.object({
        role: z.enum(["system", "user", "assistant"]),
        content: z.string().min(1).max(32_000),
      }),
    )
    .min(1)
    .max(100),
});

export type ChatRequest = z.output<typeof chatRequestSchema>;
