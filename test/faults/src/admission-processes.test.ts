import { randomUUID } from "node:crypto";
import { setImmediate as immediate } from "node:timers/promises";
import type { RedisAdmissionOptions } from "@sluice/redis";
import {
  lacksRedisServer,
  privateRedis,
  startProcess,
  type PrivateRedis,
  type RunningProcess,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { isAdmitted, startMember } from "./redis-member.ts";

const processes = 4;
const script = new URL("admission-process.ts", import.meta.url).pathname;

interface Answer {
  readonly admitted: number;
  readonly unavailable: number;
}

interface Other {
  readonly program: RunningProcess;
  ask(what: string): Promise<Answer>;
}

const askAll = async (others: readonly Other[], what: string): Promise<Answer> => {
  const answers = await Promise.all(others.map((other) => other.ask(what)));
  return {
    admitted: answers.reduce((sum, { admitted }) => sum + admitted, 0),
    unavailable: answers.reduce((sum, { unavailable }) => sum + unavailable, 0),
  };
};

describe.skipIf(lacksRedisServer())("processes that share admission", { timeout: 60_000 }, () => {
  let redis: PrivateRedis;
  beforeAll(async () => {
    redis = await privateRedis();
  });
  afterAll(() => redis.remove());

  const start = async (options: Partial<RedisAdmissionOptions>): Promise<Other> => {
    const program = startProcess(script, { args: [redis.url, JSON.stringify(options)] });
    onTestFinished(async () => void (await program.kill()));
    const [, port] = await program.printed(/^port (\d+)$/m);
    return {
      program,
      async ask(what) {
        const response = await fetch(`http://127.0.0.1:${port}/${what}`);
        return (await response.json()) as Answer;
      },
    };
  };
  const startAll = (options: Partial<RedisAdmissionOptions>): Promise<readonly Other[]> =>
    Promise.all(Array.from({ length: processes }, () => start(options)));

  it("I1 admit exactly what the limit leaves, in each of 50 rounds of 2,000 at once", async () => {
    const limit = 37;
    const namespace = `t${randomUUID()}`;
    const others = await startAll({
      namespace,
      globalInFlight: { limit },
      userInFlight: { limit: 10_000 },
      deadlineMs: 10_000,
      leaseMs: 60_000,
    });
    const rounds: Answer[] = [];
    for (let round = 0; round < 50; round += 1) {
      rounds.push(await askAll(others, "acquire?count=500"));
      await askAll(others, "release");
    }
    expect(rounds).toEqual(rounds.map(() => ({ admitted: limit, unavailable: 0 })));
    expect(await redis.cli("zcard", `{adm:${namespace}:0}:in`)).toBe("0");
  });

  it("I14 let 12 of 200 calls of 16 tokens run on a budget of 200", async () => {
    const others = await startAll({
      namespace: `t${randomUUID()}`,
      globalInFlight: { limit: 1000 },
      globalBudget: { tokens: 200 },
      deadlineMs: 10_000,
    });
    const rounds: Answer[] = [];
    for (let round = 0; round < 20; round += 1) {
      rounds.push(await askAll(others, "call?count=50"));
      await askAll(others, "release");
    }
    expect(rounds).toEqual(rounds.map(() => ({ admitted: 12, unavailable: 0 })));
  });

  it("I4 have every slot of one that was killed within its lease and 100 ms", async () => {
    const limit = 40;
    const leaseMs = 500;
    const options = {
      namespace: `t${randomUUID()}`,
      globalInFlight: { limit },
      leaseMs,
      deadlineMs: 5000,
    };
    const holder = await start(options);
    expect(await holder.ask(`acquire?count=${limit}`)).toMatchObject({ admitted: limit });
    const member = startMember(redis.url, options);
    onTestFinished(() => member.end());
    await member.ready();
    // It beats: they are held for longer than one lease.
    const startedMs = performance.now();
    while (performance.now() - startedMs < leaseMs * 2) {
      expect(isAdmitted(await member.store.acquire("bea"))).toBe(false);
      await immediate();
    }

    const killedMs = performance.now();
    const killed = holder.program.kill();
    let got = 0;
    while (got < limit) {
      if (isAdmitted(await member.store.acquire("bea"))) got += 1;
      else await immediate();
      // Else it would be asked for ever.
      expect(performance.now() - killedMs).toBeLessThan(leaseMs + 100);
    }
    expect(performance.now() - killedMs).toBeGreaterThan(leaseMs / 2);
    expect(await killed).toMatchObject({ signal: "SIGKILL" });
  });
});
