export { ownHeaders } from "./answer-meta.ts";
export { clientSignal } from "./node/client-signal.ts";
export { countResponse, type CountedResponse, type CountingGuard } from "./node/count-response.ts";
export { nodeGateway, type NodeGateway, type Ways } from "./node/node-gateway.ts";
export { pump, type Pumped } from "./node/pump.ts";
export type { NodeGatewayOptions, RequestFacts } from "./node/request-facts.ts";
export { toSse } from "./protocols/json-sse.ts";
