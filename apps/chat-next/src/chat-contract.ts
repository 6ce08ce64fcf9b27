import type { ChatInput } from "@sluice/gateway";
import { defineContract } from "@sluice/guard";
import { z } from "zod";
import { cannedReply } from "./canned-reply.ts";

const reply = z.string().min(1);

/** What the guarded `/api/chat` says; the model writes plain text, which flows to the page as it comes. */
export const chatContract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply }),
  text: { field: "reply", maxChars: 16_000 },
});

export const stubReply = ({ messages }: ChatInput) => ({
  status: "STUB" as const,
  reply: cannedReply(messages.findLast(({ role }) => role === "user")?.content ?? ""),
});
