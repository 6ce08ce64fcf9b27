import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "@sluice/guard";
import { connectRedis, redisAdmission, type LossMode } from "@sluice/redis";
import { told, type Metric } from "../result.ts";
import { startRedis, type OwnRedis } from "./start-redis.ts";

const lostSeconds = Number(process.env["BENCH_LOST_SECONDS"] ?? 90);
const modes = ["closed", "open", "local"] as const;
const tickMs = 10;
const perTick = 10;
/** A little less than what is in flight at this rate, so that it refuses. */
const limit = 18;
/** What a request takes after it was let in. */
const servedMs = 20;

/** One process at 1000 requests a second whose Redis stands still, and goes on. */
export async function benchLoss(): Promise<readonly Metric[]> {
  const redis = await startRedis();
  try {
    const metrics: Metric[] = [];
    for (const mode of modes) metrics.push(...(await loseOnce(redis, mode)));
    return metrics;
  } finally {
    await redis.remove();
  }
}

async function loseOnce(redis: OwnRedis, onLoss: LossMode): Promise<readonly Metric[]> {
  const client = connectRedis({ url: redis.url, random: Math.random });
  // Not by `once` of node:events: the first connection may be refused.
  const ready = Promise.withResolvers<void>();
  client.once("ready", ready.resolve);
  await ready.promise;
  let changes = 0;
  let logged = 0;
  let isLost = false;
  const store = redisAdmission({
    client,
    clock: systemClock,
    random: Math.random,
    instanceId: randomUUID(),
    namespace: `loss-${onLoss}`,
    secret: "a secret of the benchmark",
    globalInFlight: { limit },
    messageRate: { count: 1_000_000, perMs: 60_000 },
    onLoss,
    onState(state) {
      changes += 1;
      // As an application would log it.
      logged += Buffer.byteLength(`${new Date().toISOString()} Redis is ${state}\n`);
      isLost = state === "lost";
    },
  });
  let waits: number[] = [];
  let refused = 0;
  let inFlight = 0;
  let beyond = 0;

  const ask = async (): Promise<void> => {
    const began = performance.now();
    const reply = await store.acquire("anna");
    waits.push(performance.now() - began);
    if (reply === "unavailable" || !reply.admitted) {
      refused += 1;
      return;
    }
    inFlight += 1;
    if (inFlight > limit) beyond += 1;
    await sleep(servedMs);
    inFlight -= 1;
    reply.lease.release();
  };
  const load = async (untilMs: () => boolean): Promise<void> => {
    while (untilMs()) {
      for (let n = 0; n < perTick; n += 1) void ask();
      await sleep(tickMs);
    }
  };
  await load(forMs(2000));
  const before = cost();
  waits = [];
  refused = 0;
  await load(forMs(2000));
  const well = costSince(before, waits.length);
  waits = [];
  refused = 0;
  const beyondWhileWell = beyond;
  const changesWhileWell = changes;
  beyond = 0;
  logged = 0;
  const memory = process.memoryUsage().rss;
  const start = cost();
  redis.pause();
  await load(forMs(lostSeconds * 1000));
  const lost = costSince(start, waits.length);
  const lostWaits = waits.toSorted((a, b) => a - b);
  const asked = Math.max(1, waits.length);
  const refusedShare = refused / asked;
  const beyondShare = beyond / asked;
  const loggedEach = logged / asked;
  const grown = process.memoryUsage().rss - memory;
  redis.resume();
  const resumed = performance.now();
  await load(() => isLost && performance.now() - resumed < 30_000);
  const backMs = performance.now() - resumed;
  await sleep(servedMs * 2);
  await store.flush();
  const left = await client.zcard(`{adm:loss-${onLoss}:0}:in`);
  store.close?.();
  client.disconnect();

  const at = (share: number): number => lostWaits[Math.floor(share * lostWaits.length)] ?? 0;
  const key = (what: string): string => `${onLoss}, lost for ${lostSeconds} s: ${what}`;
  return [
    told(key("p50"), at(0.5), "ms"),
    told(key("p90"), at(0.9), "ms"),
    told(key("p99"), at(0.99), "ms"),
    told(key("CPU per request"), lost, "µs"),
    told(key("CPU per request while well"), well, "µs"),
    told(key("memory gained"), grown / 1024 ** 2, "MiB"),
    told(key("refused"), refusedShare * 100, "%"),
    told(key("admitted beyond the limit"), beyondShare * 100, "%"),
    told(key("admitted beyond the limit while well"), beyondWhileWell, ""),
    told(key("logged per request"), loggedEach, "bytes"),
    told(key("changes of state told while well"), changesWhileWell, ""),
    told(key("changes of state told"), changes, ""),
    told(key("until Redis decides again"), backMs, "ms"),
    told(key("left counted afterwards"), left, ""),
  ];
}

const cost = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const costSince = (before: number, requests: number): number =>
  (cost() - before) / Math.max(1, requests);

const forMs = (ms: number): (() => boolean) => {
  const end = performance.now() + ms;
  return () => performance.now() < end;
};
