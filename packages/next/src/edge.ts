import { onEdge as onEdgeOf } from "@sluice/contract";

/**
 * What bundles for the edge runtime find instead of the package: a guard needs Node, for its flag sources,
 * its hashes and its records.
 */
const onEdge = onEdgeOf("@sluice/next");

export const chatGateway = onEdge("chatGateway");
export const pagesChatGateway = onEdge("pagesChatGateway");
export const countResponses = onEdge("countResponses");
export const shared = onEdge("shared");
export const drainGateways = onEdge("drainGateways");

/** `instrumentation.ts` runs once for each runtime: there is nothing to drain here. */
export const registerDrain = (): (() => void) => () => undefined;
