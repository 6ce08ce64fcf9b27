import { randomUUID } from "node:crypto";
import type { AdmissionLease, AdmissionStore, Clock, SharedReservation } from "@sluice/contract";
import { memoryAdmission } from "@sluice/guard";
import {
  readGlobalBudget,
  redisAdmission,
  type BudgetClient,
  type GlobalBudgetUse,
  type RedisAdmission,
  type RedisAdmissionOptions,
  type RedisClient,
} from "@sluice/redis";
import { FakeClock } from "@sluice/testkit";
import { dayMs } from "./admission-model-budgets.ts";
import type { ModelLimits } from "./admission-model-limits.ts";
import { AdmissionModel } from "./admission-model.ts";

export const leaseMs = 30_000;
const epochMs = 1e12;

type ScriptArgs = readonly (string | number)[];

/** How a trace opens the stores of its processes: as they are, or with something planted. */
export interface Opener {
  readonly open: (options: RedisAdmissionOptions, timeMs: () => number) => RedisAdmission;
  /** What the second run of a script is given in place of what the first was. */
  readonly secondRun?: (args: ScriptArgs) => ScriptArgs;
}

export const asTheyAre: Opener = { open: redisAdmission };

interface WorldProcess {
  readonly store: RedisAdmission;
  /** The power goes: nothing that it had planned happens. */
  die(): void;
}

/** One redis server, the processes that share it, and their time. */
export interface World {
  readonly model: AdmissionModel;
  readonly processes: WorldProcess[];
  /** The same process over again, in memory. */
  readonly twin: AdmissionStore | undefined;
  /** By the model's numbers: the store's, and the twin's. */
  readonly leases: (readonly AdmissionLease[])[];
  readonly reservations: (readonly SharedReservation[])[];
  start(limits: ModelLimits): void;
  pass(ms: number): Promise<void>;
  overMidnight(): Promise<void>;
  /** While it does something, every script runs twice; the first answer is lost. */
  twice<Result>(isTwice: boolean, todo: () => Promise<Result>): Promise<Result>;
  flushData(): Promise<void>;
  flushScripts(): Promise<void>;
  readBudget(day: number): Promise<GlobalBudgetUse>;
  end(): void;
}

export type WorldClient = RedisClient &
  BudgetClient & {
    script(what: "FLUSH"): Promise<unknown>;
    flushall(): Promise<unknown>;
  };

export function createWorld(options: {
  readonly client: WorldClient;
  readonly opener: Opener;
  readonly limits: readonly ModelLimits[];
  readonly reservationMs: number;
  readonly hasTwin: boolean;
}): World {
  const { client, opener, reservationMs } = options;
  const clock = new FakeClock();
  const namespace = `t${randomUUID()}`;
  const timeMs = (): number => epochMs + clock.monotonicMs();
  const model = new AdmissionModel({ wallMs: clock.wallMs(), leaseMs, reservationMs });
  let isTwice = false;
  const run =
    (how: "evalsha" | "eval"): RedisClient["evalsha"] =>
    async (script, keyCount, ...rest) => {
      const first = client[how](script, keyCount, ...rest);
      if (!isTwice) return first;
      const again = opener.secondRun?.(rest) ?? rest;
      const [, answer] = await Promise.all([first, client[how](script, keyCount, ...again)]);
      return answer;
    };
  const repeating: RedisClient = {
    evalsha: run("evalsha"),
    eval: run("eval"),
    script: (what, text) => client.script(what, text),
    get status() {
      return client.status;
    },
    // The connection is there from the start, and stays.
    on: () => undefined,
    off: () => undefined,
    disconnect: () => undefined,
  };

  const world: World = {
    model,
    processes: [],
    twin: options.hasTwin ? memoryAdmission({ ...options.limits[0], leaseMs, clock }) : undefined,
    leases: [],
    reservations: [],
    start(limits) {
      const mortal = mortalClock(clock);
      const store = opener.open(
        {
          ...limits,
          client: repeating,
          clock: mortal.clock,
          random: () => 0.5,
          instanceId: randomUUID(),
          namespace,
          secret: "a secret of the tests",
          deadlineMs: 10_000,
          leaseMs,
          reservationMs,
        },
        timeMs,
      );
      world.processes.push({ store, die: () => mortal.die() });
      model.start(limits);
    },
    async pass(ms) {
      await clock.advanceAsync(ms);
      model.pass(ms);
      await Promise.all(world.processes.map(({ store }) => store.flush()));
    },
    async overMidnight() {
      const leftMs = dayMs - (clock.wallMs() % dayMs);
      clock.stepWall(leftMs - 1);
      model.wallMs += leftMs - 1;
      await world.pass(1);
    },
    async twice(isSo, todo) {
      isTwice = isSo;
      try {
        return await todo();
      } finally {
        isTwice = false;
      }
    },
    async flushData() {
      await client.flushall();
      model.flush();
    },
    async flushScripts() {
      await client.script("FLUSH");
    },
    async readBudget(day) {
      // By the time of the trace, not by the server's.
      const reader = new Proxy(client, {
        get(target, name) {
          if (name === "time") return () => [Math.floor(timeMs() / 1000), (timeMs() % 1000) * 1000];
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== "function") return value;
          return (...args: readonly unknown[]): unknown => Reflect.apply(value, target, args);
        },
      });
      const name = new Date(day * dayMs).toISOString().slice(0, 10);
      const none = { calls: 0, tokens: 0, costNanoUsd: 0 };
      const read = await readGlobalBudget(reader, { namespace, day: name });
      return read ?? { settled: none, open: none, expired: none };
    },
    end() {
      for (const { store } of world.processes) store.close();
      world.twin?.close();
    },
  };
  for (const limits of options.limits) world.start(limits);
  return world;
}

/** A clock whose timers end with the process that started them. */
function mortalClock(clock: FakeClock): { readonly clock: Clock; die(): void } {
  let isDead = false;
  const whileAlive = (callback: () => void) => (): void => {
    if (!isDead) callback();
  };
  return {
    clock: {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      after: (ms, callback) => clock.after(ms, whileAlive(callback)),
      every: (ms, callback) => clock.every(ms, whileAlive(callback)),
    },
    die: () => void (isDead = true),
  };
}
