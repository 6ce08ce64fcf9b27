import { once } from "node:events";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { told, type Metric } from "../result.ts";
import { closedLoop, type Closed } from "./loops.ts";

const rounds = 7;
const roundMs = 300;
const callers = 50;
const settings = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  noDelay: true,
} as const;

/** The same script that does nothing, by each client that there was to choose from. */
export async function compareClients(url: string): Promise<readonly Metric[]> {
  const plain = new Redis(url, settings);
  const pipelined = new Redis(url, { ...settings, enableAutoPipelining: true });
  const nodeRedis = createClient({ url, disableOfflineQueue: true });
  await Promise.all([once(plain, "ready"), once(pipelined, "ready"), nodeRedis.connect()]);
  try {
    const sha = String(await plain.script("LOAD", "return 1"));
    const contenders = {
      ioredis: () => plain.evalsha(sha, 1, "bench", "a"),
      "ioredis, auto-pipelining": () => pipelined.evalsha(sha, 1, "bench", "a"),
      "node-redis": () => nodeRedis.evalSha(sha, { keys: ["bench"], arguments: ["a"] }),
    } as const;
    const taken = new Map<string, Closed[]>();
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, call] of Object.entries(contenders)) {
        const result = await closedLoop(call, callers, roundMs);
        if (round > 0) taken.set(name, [...(taken.get(name) ?? []), result]);
      }
    }
    return [...taken].flatMap(([name, results]) => [
      told(`no-op by ${name}, p50`, middle(results.map(({ p50 }) => p50)), "ms"),
      told(`no-op by ${name}, p99`, middle(results.map(({ p99 }) => p99)), "ms"),
    ]);
  } finally {
    plain.disconnect();
    pipelined.disconnect();
    nodeRedis.destroy();
  }
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
