/**
 * An SQLSTATE or the system's code; undefined where an error has none. The code alone: the text of a
 * database's error may hold the values of a row.
 */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && /^[A-Z0-9_]{1,40}$/.test(code) ? code : undefined;
}
