import type { Protocol } from "../protocol.ts";
import { bodyProblem } from "./body-problem.ts";
import { readChatMessages } from "./chat-messages.ts";
import { ownField } from "./own-field.ts";
import { uiEncoder } from "./ui-encoder.ts";
import { readUiMessage } from "./ui-messages.ts";

/** What `useChat` of the AI SDK speaks. Source: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol */
export const uiMessageStreamProtocol: Protocol = {
  name: "ui-message-stream",
  recognizes(body) {
    const trigger = ownField(body, "trigger");
    if (trigger === "submit-message" || trigger === "regenerate-message") return true;
    const messages = ownField(body, "messages");
    return (
      Array.isArray(messages) &&
      messages.some((message) => Array.isArray(ownField(message, "parts")))
    );
  },
  read(body, _accept, { toText }) {
    const encoder = uiEncoder(toText);
    const read = readChatMessages(body, readUiMessage);
    if ("rule" in read) return { problem: bodyProblem(read), encoder };
    return { input: read, streams: true, encoder };
  },
};
