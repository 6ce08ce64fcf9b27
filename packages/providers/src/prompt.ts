import type { ToolStep } from "@sluice/contract";

export interface PromptMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What the route chose for the call that a prompt is written for. */
export interface PromptContext {
  readonly promptTemplateVersion: string | undefined;
  readonly model: string;
}

/** The messages for an input; a string is one user message. */
export type Prompt<In> = (input: In, context: PromptContext) => string | readonly PromptMessage[];

/** A prompt and the turns of its request that called tools. */
export interface Conversation {
  readonly messages: readonly PromptMessage[];
  readonly steps: readonly ToolStep[];
}

/** No property of a message but its own two is sent on. Throws what the prompt throws, and for what is no prompt. */
export function messagesOf<In>(
  prompt: Prompt<In>,
  input: In,
  context: PromptContext,
): readonly PromptMessage[] {
  const made = prompt(input, context);
  if (typeof made === "string") return [{ role: "user", content: made }];
  return made.map(({ role, content }) => ({ role, content }));
}
