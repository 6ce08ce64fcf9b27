import { randomUUID } from "node:crypto";
import type { AdmissionReply } from "@sluice/contract";
import {
  connectRedis,
  redisAdmission,
  type RedisAdmission,
  type RedisAdmissionOptions,
} from "@sluice/redis";
import { realClock } from "@sluice/testkit";

/** A process of a test, with a connection of its own. */
export interface Member {
  readonly store: RedisAdmission;
  readonly namespace: string;
  /** What `onState` was told. */
  readonly states: string[];
  /** Resolves once its connection takes commands. */
  ready(): Promise<void>;
  /** Asks until Redis is left alone. */
  lose(): Promise<void>;
  end(): void;
}

export const deadlineMs = 50;

export function startMember(url: string, options: Partial<RedisAdmissionOptions> = {}): Member {
  const client = connectRedis({ url, random: () => 0.5 });
  const namespace = options.namespace ?? `t${randomUUID()}`;
  const states: string[] = [];
  const store = redisAdmission({
    client,
    clock: realClock,
    random: () => 0.5,
    instanceId: randomUUID(),
    namespace,
    secret: "a secret of the tests",
    deadlineMs,
    globalInFlight: { limit: 10 },
    onState: (state) => states.push(state),
    ...options,
  });
  return {
    store,
    namespace,
    states,
    ready: () =>
      new Promise((resolve) => {
        if (client.status === "ready") resolve();
        else client.once("ready", () => resolve());
      }),
    async lose() {
      for (let asked = 0; states.at(-1) !== "lost"; asked += 1) {
        if (asked > 20) throw new Error("Redis is not lost");
        releaseOf(await store.acquire("lost"))?.();
      }
    },
    end() {
      store.close();
      client.disconnect();
    },
  };
}

export const isAdmitted = (
  reply: AdmissionReply | "unavailable",
): reply is Extract<AdmissionReply, { admitted: true }> =>
  reply !== "unavailable" && reply.admitted;

const releaseOf = (reply: AdmissionReply | "unavailable"): (() => void) | undefined =>
  isAdmitted(reply) ? () => reply.lease.release() : undefined;
