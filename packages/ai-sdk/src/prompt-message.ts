export interface PromptMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What a prompt is made for, besides the input. */
export interface PromptContext {
  /** Which version of the prompt the route asks for. */
  readonly promptTemplateVersion: string | undefined;
}
