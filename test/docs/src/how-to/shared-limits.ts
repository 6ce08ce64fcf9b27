// #region
import { randomUUID } from "node:crypto";
import { createGuard, systemClock } from "@sluice/guard";
import { connectRedis, redisAdmission } from "@sluice/redis";
// #endregion
import { defineContract, staticFlags } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import type { RedisAdmission } from "@sluice/redis";
import { z } from "zod";

const options = {
  feature: "faq_ai",
  contract: defineContract({
    ok: z.object({ status: z.literal("OK"), reply: z.string() }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  }),
  failed: ({ code }: { readonly code: string }) => ({ status: "FAILED" as const, code }),
  stub: () => ({ status: "OK" as const, reply: "A person will answer you today." }),
  provider: functionProvider((text: string) => ({ status: "OK", reply: text }), {
    model: "gpt-4o-mini",
    inputTokens: (input) => input.length,
  }),
  flags: staticFlags({ faq_ai: { enabled: true } }),
  onFailure: "stub" as const,
};

/** What the page wires up. */
export function wire(url: string, secret: string, log: (line: string) => void) {
  // #region +
  const client = connectRedis({ url, random: Math.random });
  const admission = redisAdmission({
    client,
    clock: systemClock,
    random: Math.random,
    instanceId: randomUUID(),
    namespace: "faq",
    secret,
    userInFlight: { limit: 2 },
    globalInFlight: { limit: 200, candidate: 150 },
    messageRate: { count: 600, perMs: 60_000, burst: 60, mode: "shadow" },
    userBudget: { tokens: 200_000 },
    globalBudget: { costNanoUsd: 50_000_000_000 }, // fifty dollars
    timeZone: "Europe/Berlin",
    onLoss: "local",
    onState: (state) => log(`Redis is ${state}`),
  });
  const guard = createGuard({
    ...options,
    admission,
    budget: { maxOutputTokens: 800 },
    prices: { "gpt-4o-mini": { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 } },
  });
  // #endregion
  return { client, admission, guard };
}

/** To a cluster in place of a server. */
export function connectToCluster(firstNode: string, secondNode: string) {
  // #region
  const client = connectRedis({ cluster: [firstNode, secondNode], random: Math.random });
  // #endregion
  return client;
}

type Options = Parameters<typeof redisAdmission>[0];

/** Of many processes and several Redis. */
export function wireShards(parts: Pick<Options, "client" | "secret">): RedisAdmission {
  const common = {
    ...parts,
    clock: systemClock,
    random: Math.random,
    instanceId: randomUUID(),
    namespace: "faq",
  };
  // #region
  const admission = redisAdmission({
    ...common,
    userInFlight: { limit: 2 },
    globalInFlight: { limit: 16_000 },
    messageRate: { count: 100_000, perMs: 1000 },
    shards: { count: 8 },
  });
  // #endregion
  return admission;
}

/** Of many processes, with global limits only. */
export function wireBlocks(parts: Pick<Options, "client" | "secret">): RedisAdmission {
  const common = {
    ...parts,
    clock: systemClock,
    random: Math.random,
    instanceId: randomUUID(),
    namespace: "faq",
  };
  // #region
  const admission = redisAdmission({
    ...common,
    globalInFlight: { limit: 4000 },
    messageRate: { count: 10_000, perMs: 1000 },
    globalBlocks: { processes: 20 },
  });
  // #endregion
  return admission;
}

/** Of many processes, to which users are sent by their id. */
export function wireSubjectLeases(parts: Pick<Options, "client" | "secret">): RedisAdmission {
  const common = {
    ...parts,
    clock: systemClock,
    random: Math.random,
    instanceId: randomUUID(),
    namespace: "faq",
  };
  // #region
  const admission = redisAdmission({
    ...common,
    userInFlight: { limit: 2 },
    globalInFlight: { limit: 4000 },
    messageRate: { count: 10_000, perMs: 1000 },
    globalBlocks: { processes: 20 },
    subjectLeases: { leaseMs: 5000 },
  });
  // #endregion
  return admission;
}
