import { z } from "zod";

const chat = z.object({
  trigger: z.string().optional(),
  messages: z
    .array(
      z.object({
        role: z.enum(["system", "user", "assistant"]),
        content: z.string().optional(),
        parts: z.array(z.object({ type: z.literal("text"), text: z.string() })).optional(),
      }),
    )
    .min(1),
});

interface Chat {
  /** As `useChat` asks. */
  readonly streams: boolean;
  readonly messages: { role: "system" | "user" | "assistant"; content: string }[];
}

/** What a handler of one's own makes of a body, for both forms. */
export function readChat(body: unknown): Chat {
  const { trigger, messages } = chat.parse(body);
  return {
    streams: trigger !== undefined,
    messages: messages.map(({ role, content, parts }) => ({
      role,
      content: content ?? (parts ?? []).map(({ text }) => text).join(""),
    })),
  };
}
