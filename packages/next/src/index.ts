export { chatGateway, type ChatGatewayOptions, type RouteHandler } from "./chat-gateway.ts";
export { drainGateways, type DrainOptions } from "./drain-gateways.ts";
export {
  pagesChatGateway,
  type ApiHandler,
  type PagesChatGatewayOptions,
} from "./pages-chat-gateway.ts";
export { registerDrain } from "./register-drain.ts";
export { shared } from "./shared.ts";
export { countResponses } from "@sluice/gateway";
