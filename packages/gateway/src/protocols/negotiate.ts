import type { Protocol, ProtocolName } from "../protocol.ts";
import { jsonProtocol } from "./json.ts";
import { openAiProtocol } from "./openai.ts";
import { uiMessageStreamProtocol } from "./ui-message-stream.ts";

const protocols: Readonly<Record<ProtocolName, Protocol>> = {
  json: jsonProtocol,
  "ui-message-stream": uiMessageStreamProtocol,
  openai: openAiProtocol,
};

/** `useChat` may send a model of its own making along, so its messages are looked at first. */
const asked: readonly Protocol[] = [uiMessageStreamProtocol, openAiProtocol];

/** The protocol chosen, or the one that the body is in: JSON where it is no other. */
export function protocolOf(choice: ProtocolName | "negotiated", body: unknown): Protocol {
  if (choice !== "negotiated") return protocols[choice];
  return asked.find((protocol) => protocol.recognizes(body)) ?? jsonProtocol;
}
