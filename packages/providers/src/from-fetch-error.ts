import { FailureCode, type ProviderFailure } from "@sluice/contract";
import { causesOf, mayHaveConnected } from "@sluice/policy";

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
    dispatched: mayHaveConnected(error),
  };
}
