import type { AnswerMeta } from "@sluice/gateway";
import type { UIMessage } from "ai";

/** What the gateway tells of an answer; the legacy handler tells nothing. */
export type ChatMessage = UIMessage<Partial<AnswerMeta>>;

export const textOf = ({ parts }: ChatMessage): string =>
  parts.map((part) => (part.type === "text" ? part.text : "")).join("");
