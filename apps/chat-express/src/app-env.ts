import { fileURLToPath } from "node:url";
import { configuredNameSchema, parseOptions } from "@sluice/contract";
import { z } from "zod";

const wholeNumber = (min: number, max: number, byDefault: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, { error: `a whole number from ${min} to ${max}` })
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .default(byDefault);

const shippedFlags = fileURLToPath(new URL("../flags.env", import.meta.url));

const variables = z.object({
  PORT: wholeNumber(0, 65_535, 3000),
  /** The demo has no sign-in, so only this machine may reach it unless told otherwise. */
  CHAT_HOST: z.string().min(1).default("127.0.0.1"),
  SLUICE_FLAGS_FILE: z.string().min(1).default(shippedFlags),
  /** Flags and records in PostgreSQL, in place of the flags file. */
  DATABASE_URL: z
    .url({ protocol: /^postgres(?:ql)?$/, error: "a postgres or postgresql URL" })
    .optional(),
  /** The same in a database inside the process, which keeps its rows in this folder. */
  SLUICE_FOLDER: z.string().min(1).optional(),
  /** Whose rows of `ai_provider_configs` are obeyed. */
  SLUICE_ENVIRONMENT: configuredNameSchema.default("prod"),
  /** Mounts the probe route for `sluice verify`. */
  SLUICE_PROBE_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{16,1024}$/, { error: "16 to 1024 characters without spaces" })
    .optional(),
  /** Limits that all processes share in Redis. */
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: "a redis or rediss URL" }).optional(),
  /** Keys the hash under which visitors stand in Redis. */
  ADMISSION_SECRET: z
    .string()
    .regex(/^.{16,}$/, { error: "at least 16 characters" })
    .optional(),
  OPENAI_API_KEY: z.string().optional(),
  OPENAI_BASE_URL: z.string().optional(),
  OPENAI_MODEL: z.string().min(1).max(128).default("gpt-4o-mini"),
  /** A second, OpenAI-compatible host, for failover. */
  CUSTOM_BASE_URL: z.url({ protocol: /^https?$/, error: "an http or https URL" }).optional(),
  CUSTOM_API_KEY: z
    .string()
    .regex(/^[\x21-\x7e]+$/, { error: "an API key" })
    .optional(),
  CUSTOM_MODEL: z.string().min(1).max(128).default("gpt-4o-mini"),
  /** Time limit of one model call. */
  CHAT_AI_TIMEOUT_MS: wholeNumber(1, 600_000, 10_000),
  /** What a token costs, in nano-dollars; the cap of the shadow is counted by it. Default: gpt-4o-mini's. */
  CHAT_AI_INPUT_NANO_USD: wholeNumber(0, 999_999_999, 150),
  CHAT_AI_OUTPUT_NANO_USD: wholeNumber(0, 999_999_999, 600),
  /** Of the requests that the gateway watches: how many are answered by the model as well. */
  CHAT_SHADOW_MIRROR_PERCENT: wholeNumber(0, 100, 10),
  /** What these may cost a day. */
  CHAT_SHADOW_CENTS_PER_DAY: wholeNumber(1, 1_000_000, 100),
  /** How long open answers may take to finish once the app is told to stop. */
  CHAT_DRAIN_MS: wholeNumber(0, 600_000, 5000),
});

export const appEnvSchema = variables.refine(
  ({ DATABASE_URL, SLUICE_FOLDER }) => DATABASE_URL === undefined || SLUICE_FOLDER === undefined,
  { path: ["SLUICE_FOLDER"], error: "none beside DATABASE_URL: there is one database" },
);

export type AppEnv = z.output<typeof appEnvSchema>;

/** @throws ConfigError: one line naming the variable, what came and what was expected */
export function parseAppEnv(env: Readonly<Record<string, string | undefined>>): AppEnv {
  // An empty variable is an unset one, as in most process managers.
  const given = Object.entries(env).filter(([, value]) => value !== "");
  return parseOptions("environment", appEnvSchema, Object.fromEntries(given));
}
