/** Connection errors after which it is certain that no byte of the request left. */
const neverConnected = new Set<unknown>([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);
/** System calls that come before any byte. */
const beforeConnected = new Set<unknown>(["connect", "getaddrinfo"]);

/** An error as Node and undici tell it. */
type Cause = Error & { readonly code?: unknown; readonly syscall?: unknown };

/** An error and what caused it, which may go in a circle; nothing of what is no error. */
export function causesOf(error: unknown): readonly Cause[] {
  const causes: Cause[] = [];
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    causes.push(current);
    current = current.cause;
  }
  return causes;
}

/** False only where it is certain that no byte of the request left the process. */
export function mayHaveConnected(error: unknown): boolean {
  return !causesOf(error).some(
    ({ code, syscall }) => neverConnected.has(code) || beforeConnected.has(syscall),
  );
}
