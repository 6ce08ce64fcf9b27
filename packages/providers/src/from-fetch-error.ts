import { FailureCode, type ProviderFailure } from "@sluice/contract";

/** Connection errors after which it is certain that no byte of the request left. */
const neverConnected = new Set<unknown>([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);
/** System calls that come before any byte. */
const beforeConnected = new Set<unknown>(["connect", "getaddrinfo"]);
const timeouts = new Set<unknown>(["UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT"]);

/** What `fetch` threw before any header came, without its text. */
export function fromFetchError(error: unknown): ProviderFailure {
  const causes = causesOf(error);
  // Without a cause it is fetch's word for a request that can't be written.
  if (error instanceof TypeError && causes.length === 1) {
    return { ok: false, code: FailureCode.INTERNAL, dispatched: false };
  }
  const timedOut = causes.some(({ code }) => timeouts.has(code));
  return {
    ok: false,
    code: timedOut ? FailureCode.PROVIDER_TIMEOUT : FailureCode.PROVIDER_UNAVAILABLE,
    dispatched: !causes.some(
      ({ code, syscall }) => neverConnected.has(code) || beforeConnected.has(syscall),
    ),
  };
}

interface Cause {
  readonly code?: unknown;
  readonly syscall?: unknown;
}

/** An error and what caused it, which may go in a circle. */
function causesOf(error: unknown): readonly Cause[] {
  const causes: Cause[] = [];
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    causes.push(current as Cause);
    current = current.cause;
  }
  return causes;
}
