import type { Clock } from "@sluice/contract";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { redisAdmission, type RedisAdmission } from "./redis-admission.ts";
import type { RedisClient } from "./redis-client.ts";

/** A clock that a test moves. */
export interface SteppedClock extends Clock {
  advance(ms: number): void;
}

/** One process of a fleet. */
export interface Member {
  readonly store: RedisAdmission;
  /** Scripts that it sent. */
  readonly trips: number;
  /** What it sends waits, or what it is answered. */
  hold(what: "commands" | "answers"): void;
  /** All that waited goes on, in its order. */
  open(): void;
  /** Nothing of it runs and its clock stands still, until it thaws: then the clock jumps, and timers are late. */
  freeze(): void;
  thaw(): void;
  /** It ends without a word. */
  crash(): void;
}

interface Fleet {
  readonly namespace: string;
  /** Of Redis; processes have the same but for those that stand still. */
  readonly time: SteppedClock;
  join(options?: Partial<RedisAdmissionOptions>): Member;
  /** In steps, after each of which what was sent is answered. */
  pass(ms: number): Promise<void>;
  settle(): Promise<void>;
}

type Real = RedisClient & { ping(): Promise<unknown> };

export function startFleet(parts: {
  readonly client: Real;
  /** The longest step of time. */
  readonly hopMs: number;
  readonly newClock: () => SteppedClock;
  readonly newId: () => string;
  readonly options: Partial<RedisAdmissionOptions>;
}): Fleet {
  const { client: real, hopMs, newClock, newId, options: common } = parts;
  const namespace = `t${newId()}`;
  const time = newClock();
  const clocks = new Set<SteppedClock>();

  const settle = async (): Promise<void> => {
    // What is sent after an answer is answered, too.
    for (let round = 0; round < 2; round += 1) {
      await turn();
      await real.ping();
    }
    await turn();
  };

  const join: Fleet["join"] = (options) => {
    const clock = newClock();
    clocks.add(clock);
    let jumpedMs = time.monotonicMs();
    let frozenAtMs: number | undefined;
    const stepped: Clock = {
      monotonicMs: () => clock.monotonicMs() + jumpedMs,
      wallMs: () => clock.wallMs() + jumpedMs,
      after: (...what) => clock.after(...what),
      every: (...what) => clock.every(...what),
    };
    const line = gate(real);
    const store = redisAdmission(
      {
        client: line.client,
        clock: stepped,
        random: () => 0.5,
        instanceId: newId(),
        namespace,
        secret: "a secret of the tests",
        deadlineMs: 1000,
        ...common,
        ...options,
      },
      () => 1e12 + time.monotonicMs(),
    );
    return {
      store,
      get trips() {
        return line.trips;
      },
      hold: (what) => line.hold(what),
      open: () => line.open(),
      freeze() {
        if (frozenAtMs !== undefined) return;
        frozenAtMs = time.monotonicMs();
        clocks.delete(clock);
        line.hold("answers");
      },
      thaw() {
        if (frozenAtMs === undefined) return;
        jumpedMs += time.monotonicMs() - frozenAtMs;
        frozenAtMs = undefined;
        clocks.add(clock);
        line.open();
      },
      crash() {
        clocks.delete(clock);
        line.hold("commands");
      },
    };
  };

  return {
    namespace,
    time,
    join,
    settle,
    async pass(ms) {
      for (let left = ms; left > 0; left -= hopMs) {
        const hop = Math.min(left, hopMs);
        time.advance(hop);
        for (const clock of clocks) clock.advance(hop);
        await settle();
      }
    },
  };
}

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** A client whose commands or answers can be made to wait. */
function gate(real: RedisClient) {
  let trips = 0;
  let held: "commands" | "answers" | undefined;
  let opened = Promise.withResolvers<void>();
  const through = async (send: () => Promise<unknown>): Promise<unknown> => {
    trips += 1;
    if (held === "commands") await opened.promise;
    const answer = send();
    // Who waits for the gate hears of it then.
    answer.catch(() => undefined);
    if (held === "answers") await opened.promise;
    return answer;
  };
  const client: RedisClient = {
    evalsha: (...args) => through(() => real.evalsha(...args)),
    eval: (...args) => through(() => real.eval(...args)),
    script: (what, text) => real.script(what, text),
    get status() {
      return real.status;
    },
    on: (event, listener) => real.on(event, listener),
    off: (event, listener) => real.off(event, listener),
    disconnect: () => undefined,
  };
  return {
    client,
    get trips() {
      return trips;
    },
    hold(what: "commands" | "answers") {
      held = what;
    },
    open() {
      held = undefined;
      opened.resolve();
      opened = Promise.withResolvers();
    },
  };
}
