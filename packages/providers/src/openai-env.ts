/** The environment that `openaiProvider` falls back on, read when a provider is made. */
export function openaiEnv(): {
  readonly apiKey: string | undefined;
  readonly baseUrl: string | undefined;
  readonly organization: string | undefined;
  readonly project: string | undefined;
} {
  const { OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID, OPENAI_PROJECT_ID } = process.env;
  // Read from a file, a value often ends in a line feed; what is empty is unset.
  return {
    apiKey: OPENAI_API_KEY?.trim() || undefined,
    baseUrl: OPENAI_BASE_URL?.trim() || undefined,
    organization: OPENAI_ORG_ID?.trim() || undefined,
    project: OPENAI_PROJECT_ID?.trim() || undefined,
  };
}
