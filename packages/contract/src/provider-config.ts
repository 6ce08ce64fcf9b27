import { z } from "zod";

/** The longest time limit of one attempt. */
export const maxAttemptMs = 600_000;

/** No control, format or line character: names stand in events, headers and lines of logs. */
export const configuredNameSchema = z
  .string()
  .refine((name) => name.length <= 128 && /^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(name), {
    error: "1 to 128 characters on one line",
  });

/** One candidate of a route, with the fields of the table `ai_provider_configs`. */
export const providerConfigSchema = z.strictObject({
  /** Which provider: its `name`. */
  provider: configuredNameSchema,
  environment: configuredNameSchema.default("prod"),
  enabled: z.boolean().default(true),
  /** The first choice of its environment; at most one is. */
  isDefault: z.boolean().default(false),
  /** Share under the strategy `weighted`; 0 is never drawn. */
  weight: z.int().min(0).max(1_000_000).default(1),
  /** Time limit of one attempt; default the guard's. */
  timeoutMs: z.int().min(1).max(maxAttemptMs).optional(),
  /** Further attempts at the same candidate; default the guard's. */
  maxRetries: z.int().min(0).max(10).optional(),
  /** Default: the provider's own. */
  model: configuredNameSchema.optional(),
  promptTemplateVersion: configuredNameSchema.optional(),
  /** The application's own notes. Sluice reads none of it. */
  metadata: z.record(z.string(), z.json()).default({}),
});

export type ProviderConfig = Readonly<z.input<typeof providerConfigSchema>>;
/** With its defaults. */
export type RouteCandidate = Readonly<z.output<typeof providerConfigSchema>>;

/**
 * How the first candidate is chosen, and the order of those that may stand in for it:
 * `default` the environment's default, then the others as they are listed;
 * `weighted` drawn by weight from the subject's hash, so the same subject meets the same provider;
 * `requested` the one that the request names, else as `default`;
 * `failover` as they are listed.
 */
export const routeStrategies = ["default", "weighted", "requested", "failover"] as const;
export type RouteStrategy = (typeof routeStrategies)[number];

/** Why a candidate was passed over. */
export const skipReasons = [
  "disabled",
  /** The request names a provider that the route does not have. */
  "not_configured",
  "not_ready",
  "circuit_open",
  /** The upstream asked to wait, or refused the account. */
  "cooling_down",
  /** Another attempt at it would have exceeded the retry budget. */
  "retry_budget",
  /** Too little of the run's budget was left for it. */
  "budget",
] as const;
export type SkipReason = (typeof skipReasons)[number];

export interface SkippedCandidate {
  /** Absent for a name that the route does not have: it came with the request. */
  readonly provider?: string;
  readonly why: SkipReason;
}
