import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  connectRedis,
  readGlobalBudget,
  type GlobalBudgetUse,
  type RedisAdmissionOptions,
} from "@sluice/redis";
import {
  lacksRedisServer,
  privateRedis,
  startProcess,
  type PrivateRedis,
  type RunningProcess,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

const processes = 4;
const script = new URL("budget-process.ts", import.meta.url).pathname;
const capTokens = 200;
const promptTokens = 8;
const worstTokens = 16;
const rounds = Array.from({ length: 20 }, (_, round) => round);

interface Run {
  readonly used: readonly number[];
  readonly refused: number;
  readonly unavailable: number;
}

interface Runs {
  readonly count: number;
  readonly seed: number;
  /** Calls are asked for within so long; 0: in one turn. */
  readonly spreadMs: number;
  readonly lastsMs: number;
  /** The fewest tokens that a call uses in the end. */
  readonly least: number;
}

interface Other {
  readonly program: RunningProcess;
  run(runs: Runs): Promise<Run>;
}

/** One where it is around noon: a round that a day ends in would have two budgets. */
const hoursEast = 12 - new Date().getUTCHours();
const timeZone = `Etc/GMT${hoursEast > 0 ? "-" : "+"}${Math.abs(hoursEast)}`;
const dayOf = (time: Date): string => time.toLocaleDateString("sv-SE", { timeZone });

const sum = (figures: readonly number[]): number => figures.reduce((all, one) => all + one, 0);
const charged = ({ settled, open, expired }: GlobalBudgetUse): number =>
  settled.tokens + open.tokens + expired.tokens;

/** 200 calls, and what they did together. */
const runAll = async (
  others: readonly Other[],
  seed: number,
  runs: Omit<Runs, "seed" | "count">,
) => {
  const answers = await Promise.all(
    others.map((other, index) =>
      other.run({ ...runs, count: 200 / processes, seed: seed * processes + index }),
    ),
  );
  return {
    used: answers.flatMap(({ used }) => used),
    refused: sum(answers.map(({ refused }) => refused)),
    unavailable: sum(answers.map(({ unavailable }) => unavailable)),
  };
};

describe.skipIf(lacksRedisServer())("a budget that processes share", { timeout: 60_000 }, () => {
  let redis: PrivateRedis;
  let client: ReturnType<typeof connectRedis>;
  let others: readonly Other[];
  const started: RunningProcess[] = [];
  beforeAll(async () => {
    redis = await privateRedis();
    client = connectRedis({ url: redis.url, random: () => 0.5 });
    await once(client, "ready");
    others = await Promise.all(Array.from({ length: processes }, () => startOne()));
  }, 60_000);
  afterAll(async () => {
    await Promise.all(started.map((program) => program.kill()));
    client.disconnect();
    await redis.remove();
  });

  const namespace = `t${randomUUID()}`;
  const startOne = async (more: Partial<RedisAdmissionOptions> = {}): Promise<Other> => {
    const options = {
      namespace,
      globalInFlight: { limit: 1000 },
      globalBudget: { tokens: capTokens },
      timeZone,
      deadlineMs: 10_000,
      ...more,
    };
    const program = startProcess(script, { args: [redis.url, JSON.stringify(options)] });
    started.push(program);
    const [, port] = await program.printed(/^port (\d+)$/m);
    return {
      program,
      async run(runs) {
        const query = new URLSearchParams(
          Object.entries(runs).map(([name, value]): [string, string] => [name, String(value)]),
        );
        const response = await fetch(`http://127.0.0.1:${port}/run?${query.toString()}`);
        return (await response.json()) as Run;
      },
    };
  };
  const read = async (): Promise<GlobalBudgetUse> => {
    const use = await readGlobalBudget(client, { namespace, day: dayOf(new Date()) });
    if (use === undefined) throw new Error("nothing is charged today");
    return use;
  };

  it.each([
    { asked: "in one turn", spreadMs: 0 },
    { asked: "within 30 ms", spreadMs: 30 },
  ])(
    "I3 lets 12 of 200 calls of 16 tokens run, asked $asked, in each of 20 rounds",
    async ({ spreadMs }) => {
      for (const seed of rounds) {
        await client.flushall();
        const all = await runAll(others, seed, { spreadMs, lastsMs: 20, least: worstTokens });
        const found = { ...all, used: all.used.length, seed };
        expect(found).toEqual({ used: 12, refused: 188, unavailable: 0, seed });
        expect((await read()).settled).toEqual({ calls: 12, tokens: 192, costNanoUsd: 0 });
      }
    },
  );

  it("I3 is never overshot by calls that use less, and so make room for others, in any of 20 rounds", async () => {
    let most = 0;
    for (const seed of rounds) {
      await client.flushall();
      const all = await runAll(others, seed, { spreadMs: 40, lastsMs: 20, least: 0 });
      expect(all.unavailable, `seed ${seed}`).toBe(0);
      expect(sum(all.used), `seed ${seed}`).toBeLessThanOrEqual(capTokens);
      const { settled, open: running } = await read();
      expect([settled.tokens, running.calls], `seed ${seed}`).toEqual([sum(all.used), 0]);
      most = Math.max(most, all.used.length);
    }
    expect(most).toBeGreaterThan(12);
  });

  it("I3 keeps what a killed process had set aside, until its time is up, and then its prompts", async () => {
    const reservationMs = 6000;
    await client.flushall();
    const victim = await startOne({ reservationMs });
    // Its calls would outlast the test.
    const cut = victim.run({ count: 6, seed: 1, spreadMs: 0, lastsMs: 1_000_000_000, least: 16 });
    await victim.program.printed(/(?:began\n){6}/);
    const beganMs = performance.now();
    const answer = cut.then(
      () => "an answer",
      () => "none",
    );
    const told = others[0]?.program.stdout;
    const running = others.map((other, index) =>
      other.run({ count: 50, seed: index, spreadMs: 200, lastsMs: 200, least: 4 }),
    );
    // In the middle of what the others do.
    await vi.waitFor(() => expect(others[0]?.program.stdout).not.toBe(told), { interval: 1 });
    expect(await victim.program.kill()).toMatchObject({ signal: "SIGKILL" });
    expect(await answer).toBe("none");
    const used = sum((await Promise.all(running)).flatMap((run) => run.used));

    expect(performance.now() - beganMs).toBeLessThan(reservationMs);
    const heldTokens = 6 * worstTokens;
    expect(used).toBeGreaterThan(0);
    expect(used + heldTokens).toBeLessThanOrEqual(capTokens);
    const held = await read();
    expect([held.settled.tokens, held.open]).toEqual([
      used,
      { calls: 6, tokens: heldTokens, costNanoUsd: 0 },
    ]);

    await vi.waitFor(async () => expect((await read()).open.calls).toBe(0), {
      timeout: reservationMs * 2,
      interval: 20,
    });
    expect(performance.now() - beganMs).toBeGreaterThan(reservationMs / 2);
    const after = await runAll(others, 7, { spreadMs: 20, lastsMs: 20, least: worstTokens });
    const keptTokens = 6 * promptTokens;
    const leftTokens = capTokens - keptTokens - used;
    expect(after.used).toHaveLength(Math.floor(leftTokens / worstTokens));
    const atLast = await read();
    expect(atLast.expired).toEqual({ calls: 6, tokens: keptTokens, costNanoUsd: 0 });
    expect(charged(atLast)).toBe(used + keptTokens + sum(after.used));
    expect(charged(atLast)).toBeLessThanOrEqual(capTokens);
  });
});
