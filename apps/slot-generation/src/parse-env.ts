import { ConfigError, describeValue } from "@sluice/contract";
import { z } from "zod";

const defaultModel = "gpt-5-mini";

const envSchema = z.object({ OPENAI_MODEL: z.string().max(128).optional() });

/**
 * What the command itself reads of the environment. The flags are the guard's to read, the key and the
 * base URL the provider's.
 * @throws ConfigError naming the variable
 */
export function parseEnv(env: NodeJS.ProcessEnv): { readonly model: string } {
  const parsed = envSchema.safeParse(env);
  if (parsed.success) return { model: parsed.data.OPENAI_MODEL || defaultModel };
  throw new ConfigError({
    option: "OPENAI_MODEL",
    got: describeValue(env["OPENAI_MODEL"]),
    expected: "a model's name of at most 128 characters",
  });
}
