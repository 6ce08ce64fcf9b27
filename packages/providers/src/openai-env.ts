/** The environment that `openaiProvider` falls back on, read when a provider is made. */
export function openaiEnv(): {
  readonly apiKey: string | undefined;
  readonly baseUrl: string | undefined;
} {
  const { OPENAI_API_KEY, OPENAI_BASE_URL } = process.env;
  return { apiKey: OPENAI_API_KEY || undefined, baseUrl: OPENAI_BASE_URL || undefined };
}
