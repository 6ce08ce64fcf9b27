import type { Redis } from "ioredis";
import type { Keys } from "./keys.ts";

/** What a subject's day is charged with; undefined where nothing ever was. */
export async function readUserBudget(
  client: Pick<Redis, "hgetBuffer">,
  keys: Keys,
  subject: string,
  day: string,
): Promise<{ calls: number; tokens: number; costNanoUsd: number } | undefined> {
  const packed = await client.hgetBuffer(keys.userBudgets(day), keys.hashed(subject));
  if (packed === null) return undefined;
  const [calls = 0, tokens = 0, costNanoUsd = 0] = [0, 8, 16].map((at) => packed.readDoubleLE(at));
  return { calls, tokens, costNanoUsd };
}
