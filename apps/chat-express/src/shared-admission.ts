import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import {
  ConfigError,
  type AdmissionStore,
  type FlagSource,
  type SwitchName,
} from "@sluice/contract";
import { memoryAdmission, systemClock } from "@sluice/guard";
import { connectRedis, redisAdmission } from "@sluice/redis";

// The gateway's switches say which of them refuse; without a gateway they only observe.
const limits = {
  userInFlight: { limit: 4, mode: "shadow" },
  globalInFlight: { limit: 200, mode: "shadow" },
  messageRate: { count: 600, perMs: 60_000, burst: 120, mode: "shadow" },
  toolRate: { count: 60, perMs: 60_000, burst: 10, mode: "shadow" },
} as const;

/** For people: what each switch is about. */
export const limitsBySwitch: Partial<Record<SwitchName, number>> = {
  ADMISSION_ENFORCE_USER_INFLIGHT: limits.userInFlight.limit,
  ADMISSION_ENFORCE_GLOBAL_INFLIGHT: limits.globalInFlight.limit,
  ADMISSION_ENFORCE_GLOBAL_MSG_RATE: limits.messageRate.count,
  ADMISSION_ENFORCE_GLOBAL_TOOL_RATE: limits.toolRate.count,
};

const flushMs = 1000;

/** Limits of this process alone. */
export const ownAdmission = (): AdmissionStore => memoryAdmission(limits);

export interface SharedAdmission {
  readonly store: AdmissionStore;
  /** Gives back what is held, as far as Redis answers within a second. */
  close(): Promise<void>;
}

/**
 * Limits that all processes share in Redis, which may be away at the start. While it is, requests are served or
 * not as `FF_FAIL_CLOSED_ON_REDIS_ERROR` says.
 * @throws ConfigError
 */
export function openSharedAdmission(options: {
  readonly url: string;
  /** Keys the hash under which a visitor stands in Redis; the same in all processes. */
  readonly secret: string | undefined;
  readonly flags: FlagSource;
  readonly onState: (line: string) => void;
}): SharedAdmission {
  const { url, secret, flags, onState } = options;
  if (secret === undefined) {
    throw new ConfigError({
      option: "environment.ADMISSION_SECRET",
      got: "undefined",
      expected: "at least 16 characters beside REDIS_URL, the same in all processes",
    });
  }
  const client = connectRedis({ url, random: Math.random });
  const store = redisAdmission({
    ...limits,
    client,
    clock: systemClock,
    random: Math.random,
    instanceId: randomUUID(),
    namespace: "chat-express",
    secret,
    onLoss: () => (flags.readSwitches().switches.FF_FAIL_CLOSED_ON_REDIS_ERROR ? "closed" : "open"),
    onState: (state) => onState(`REDIS_URL: Redis is ${state}`),
  });
  return {
    store,
    async close() {
      await Promise.race([store.flush(), setTimeout(flushMs, undefined, { ref: false })]);
      store.close();
      client.disconnect();
    },
  };
}
