import { z } from "zod";

/** What every protocol's messages become; the default of the gateway's `input`. */
export const chatInputSchema = z.object({
  messages: z
    .array(
      z.object({
        role: z.enum(["system", "user", "assistant"]),
        content: z.string().min(1).max(200_000),
      }),
    )
    .min(1)
    .max(1000),
});

export type ChatInput = z.output<typeof chatInputSchema>;
