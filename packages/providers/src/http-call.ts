import { FailureCode, type ProviderFailure } from "@sluice/contract";
import { fromErrorBody } from "./from-error-body.ts";
import { fromFetchError } from "./from-fetch-error.ts";
import { readBody } from "./read-body.ts";
import { retryAfterMs } from "./retry-after.ts";

export interface HttpCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly fetch: typeof fetch;
}

/** A connection to the upstream for one call. */
export interface Exchange {
  /** Aborted with the call, or when the exchange is stopped. */
  readonly signal: AbortSignal;
  /** The call's own signal is done with. To be called when the body was read to its end. */
  release(): void;
  /** Ends the connection, whatever is still on its way. */
  stop(): void;
}

/**
 * The call's signal stays free of fetch's listeners, which would stay on it for as long as it lives, and
 * leaving the answer early has a signal of its own.
 */
export function createExchange(callSignal: AbortSignal): Exchange {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const release = (): void => callSignal.removeEventListener("abort", abort);
  callSignal.addEventListener("abort", abort, { once: true });
  if (callSignal.aborted) abort();
  return {
    signal: controller.signal,
    release,
    stop() {
      release();
      abort();
    },
  };
}

/** An error says what it has to say in far less. */
const maxErrorBytes = 64 * 1024;

/** The answer's head where it is a success, else the failure; the body of a success is for the caller to read. */
export async function send(
  { url, headers, body, fetch: doFetch }: HttpCall,
  { signal }: Exchange,
): Promise<Response | ProviderFailure> {
  if (signal.aborted) {
    return { ok: false, code: FailureCode.PROVIDER_UNAVAILABLE, dispatched: false };
  }
  let response: Response;
  try {
    // A prompt goes to the configured host and no other.
    const init = { method: "POST", headers, body, signal, redirect: "error" } as const;
    response = await doFetch(url, init);
  } catch (error) {
    return fromFetchError(error);
  }
  if (response.ok) return response;
  const { status } = response;
  return fromErrorBody(await errorBody(response), {
    status,
    retryAfterMs: retryAfterMs(status, response.headers),
  });
}

/** Nothing where it can't be read: the status still says what it says. */
async function errorBody(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await readBody(response, maxErrorBytes));
  } catch {
    return undefined;
  }
}
