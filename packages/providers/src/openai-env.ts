/** The environment that `openaiProvider` falls back on, read when a provider is made. */
export function openaiEnv(): {
  readonly apiKey: string | undefined;
  readonly baseUrl: string | undefined;
} {
  const { OPENAI_API_KEY, OPENAI_BASE_URL } = process.env;
  // Read from a file, a value often ends in a line feed; what is empty is unset.
  return {
    apiKey: OPENAI_API_KEY?.trim() || undefined,
    baseUrl: OPENAI_BASE_URL?.trim() || undefined,
  };
}
