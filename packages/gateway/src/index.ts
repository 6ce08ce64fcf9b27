export { chatInputSchema, type ChatInput } from "./chat-input.ts";
export { countResponses, type FetchHandler } from "./fetch/count-responses.ts";
export { fetchGateway, type FetchGateway, type FetchGatewayOptions } from "./fetch-gateway.ts";
export {
  createChatGateway,
  type ChatGateway,
  type GatewayAnswer,
  type GatewayCall,
} from "./gateway.ts";
export { gatewayOptionsShape, type GatewayOptions } from "./gateway-options.ts";
export type { LegacyAnswer } from "./parity.ts";
export { protocolNames, type AnswerMeta, type ProtocolName, type WireAnswer } from "./protocol.ts";
export type { Shadow, Ticket } from "./shadow.ts";
export type { ShadowSettings } from "./shadow-options.ts";
export { stageOf, type Stage } from "./stage.ts";
export {
  skipCauses,
  type CopiedBody,
  type SkipCause,
  type WatchedCall,
} from "./watched-call.ts";
