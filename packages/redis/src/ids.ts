import { createHash } from "node:crypto";

/** Of every id: lists of leases are cut by it. */
export const idLength = 20;
const processLength = 11;
/** So that all have the same length; more of them than any process makes. */
const firstNumber = 36 ** (idLength - processLength - 1);

/** Ids of requests, unique in the fleet as the process' own is. Short, for each is written and read many times. */
export function createIds(instanceId: string): () => string {
  const ofProcess = createHash("sha256").update(instanceId).digest("base64url");
  const prefix = ofProcess.slice(0, processLength);
  let next = firstNumber;
  return () => prefix + (next++).toString(36);
}
