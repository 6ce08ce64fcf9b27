import { defineContract } from "@sluice/guard";
import { z } from "zod";

/** What every route answers with, guarded or not. */
export const chatContract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
  text: { field: "reply", forbidden: ["internal use only", "as an ai language model"] },
});

export const model = "bench";
export const maxOutputTokens = 800;
