import { parseOptions } from "@sluice/contract";
import { z } from "zod";

const variables = z.object({
  /** In the form of an `.env` file, and watched. */
  SLUICE_FLAGS_FILE: z.string().min(1).default("flags.env"),
  /** Without a key a stand-in on this machine answers. */
  OPENAI_API_KEY: z.string().optional(),
  OPENAI_BASE_URL: z.string().optional(),
  OPENAI_MODEL: z.string().min(1).max(128).default("gpt-4o-mini"),
  /** How long answers under way may go on once the server is told to stop. */
  SHUTDOWN_DEADLINE_MS: z
    .string()
    .regex(/^\d{1,6}$/, { error: "a whole number of milliseconds, at most 6 digits" })
    .transform(Number)
    .default(10_000),
});

export type AppEnv = z.output<typeof variables>;

/** @throws ConfigError: one line naming the variable, what came and what was expected */
export function parseAppEnv(env: Readonly<Record<string, string | undefined>>): AppEnv {
  // An empty variable is an unset one, as in most process managers.
  const given = Object.entries(env).filter(([, value]) => value !== "");
  return parseOptions("environment", variables, Object.fromEntries(given));
}
