import type { Metric } from "../result.ts";
import { benchChunks } from "./bench-chunks.ts";
import { benchMany } from "./bench-many.ts";
import { benchSockets } from "./bench-sockets.ts";

/** What a guard adds to a stream: to its first content, to each piece, to the memory of many at once. */
export async function benchStream(): Promise<readonly Metric[]> {
  return [...(await benchChunks()), ...(await benchMany()), ...(await benchSockets())];
}
