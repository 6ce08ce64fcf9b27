import type {
  FlagFileOptions,
  MemoryAdmissionOptions,
  MemoryBudgetsOptions,
  StaticFeature,
} from "@sluice/guard";
import type { OpenFeatureFlagsOptions, SluiceProviderOptions } from "@sluice/openfeature";
import type { ConnectRedisOptions, RedisAdmissionOptions } from "@sluice/redis";
import { all, optional, required, type Part } from "./part-options.ts";

/** Where limits, budgets and flags come from, but for SQL. */
export const storeParts: readonly Part[] = [
  {
    heading: "`memoryAdmission`",
    sources: ["packages/guard/src/stores/memory-admission.ts"],
    options: all<MemoryAdmissionOptions>({
      userInFlight: optional(),
      globalInFlight: optional(),
      messageRate: optional(),
      toolRate: optional(),
      userBudget: optional(),
      globalBudget: optional(),
      timeZone: optional(),
      leaseMs: optional(),
      maxLeases: optional(),
      clock: optional(),
    }),
  },
  {
    heading: "`memoryBudgets`",
    sources: ["packages/guard/src/stores/memory-budgets.ts"],
    options: all<MemoryBudgetsOptions>({
      maxRuns: optional(),
      runIdleMs: optional(),
      clock: optional(),
    }),
  },
  {
    heading: "`flagFile`",
    sources: ["packages/guard/src/flags/flag-file.ts"],
    options: all<FlagFileOptions>({ pollMs: optional(), stableMs: optional(), clock: optional() }),
  },
  {
    heading: "`staticFlags`",
    sources: ["packages/guard/src/flags/static-flags.ts"],
    options: all<StaticFeature>({
      enabled: optional(),
      killed: optional(),
      percent: optional(),
      allowlist: optional(),
      salt: optional(),
    }),
  },
  {
    heading: "`redisAdmission`",
    sources: ["packages/redis/src/admission-options.ts"],
    options: all<RedisAdmissionOptions>({
      client: required("object"),
      clock: required("clock"),
      random: required("function"),
      instanceId: required("text"),
      namespace: required("text"),
      secret: required("text"),
      userInFlight: optional("object"),
      globalInFlight: optional("object"),
      messageRate: optional("object"),
      toolRate: optional("object"),
      userBudget: optional("object"),
      globalBudget: optional("object"),
      timeZone: optional("text"),
      leaseMs: optional("ms"),
      maxAgeMs: optional("ms"),
      reservationMs: optional("ms"),
      heartbeat: optional("boolean"),
      deadlineMs: optional("ms"),
      onLoss: optional("choice"),
      globalBlocks: optional("object"),
      subjectLeases: optional("object"),
      shards: optional("object"),
      onState: optional("function"),
      maxLeases: optional("integer"),
    }),
  },
  {
    heading: "`connectRedis`",
    sources: ["packages/redis/src/redis-client.ts"],
    options: all<ConnectRedisOptions>({
      url: required("text"),
      random: required("function"),
      connectTimeoutMs: optional("ms"),
    }),
  },
  {
    heading: "`sluiceProvider`",
    sources: ["packages/openfeature/src/sluice-provider.ts"],
    options: all<SluiceProviderOptions>({
      source: required("object"),
      clock: required("clock"),
      maxStalenessMs: optional("ms"),
      features: optional("list"),
      allowlistMode: optional("choice"),
      readyTimeoutMs: optional("ms"),
    }),
  },
  {
    heading: "`openFeatureFlags`",
    sources: ["packages/openfeature/src/open-feature-flags.ts"],
    options: all<OpenFeatureFlagsOptions>({
      client: required("object"),
      features: required("list"),
      clock: required("clock"),
      enabledFlag: optional("function"),
      killFlag: optional("function"),
      percentFlag: optional("function"),
      allowlistFlag: optional("function"),
      switchFlag: optional("function"),
      context: optional("object"),
      refreshMs: optional("ms"),
      timeoutMs: optional("ms"),
    }),
  },
];
