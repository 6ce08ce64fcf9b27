const secretParameter = /password|secret|token|key/i;

/** What of a connection string no line may show: its passwords, as written and decoded. */
export function urlSecrets(connectionString: string | undefined): readonly string[] {
  if (connectionString === undefined || connectionString === "") return [];
  const url = URL.parse(connectionString);
  // What can't be parsed can't be told apart.
  if (url === null) return [connectionString];
  const found = [url.password, decode(url.password)];
  for (const [name, value] of url.searchParams) {
    if (secretParameter.test(name)) found.push(value, encodeURIComponent(value));
  }
  const written = /^[^:]+:\/\/[^@/]*?:([^@]*)@/.exec(connectionString)?.[1] ?? "";
  return [...new Set([connectionString, ...found, written, decode(written)])]
    .filter((secret) => secret !== "")
    .toSorted((a, b) => b.length - a.length);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
