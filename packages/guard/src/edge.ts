import { onEdge as onEdgeOf } from "@sluice/contract";

/**
 * What bundles for the edge runtime find instead of the package: a guard needs Node, for its flag sources,
 * its hashes and its records. Without it they stop at Node's modules, with a sentence that says nothing of what to do.
 */
const onEdge = onEdgeOf("@sluice/guard");

export const createGuard = onEdge("createGuard");
export const envFlags = onEdge("envFlags");
export const flagFile = onEdge("flagFile");
export const staticFlags = onEdge("staticFlags");
export const guardOptionsSchema = onEdge("guardOptionsSchema");
export const isAnswered = onEdge("isAnswered");
export const toHttpOutcome = onEdge("toHttpOutcome");
export const toRejection = onEdge("toRejection");
export const toInputProblem = onEdge("toInputProblem");
export const observe = onEdge("observe");
export const rateLimitFields = onEdge("rateLimitFields");
export const rateLimitHeaderSets = onEdge("rateLimitHeaderSets");
export const machineRandom = onEdge("machineRandom");
export const readInput = onEdge("readInput");
export const memoryAdmission = onEdge("memoryAdmission");
export const memoryBudgets = onEdge("memoryBudgets");
export const opossumBreaker = onEdge("opossumBreaker");
export const systemClock = onEdge("systemClock");
export const defineTool = onEdge("defineTool");
// Of these nothing needs Node, and a page may read them too.
export { defineContract, ConfigError, FailureCode, Reason } from "@sluice/contract";
