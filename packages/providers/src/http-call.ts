import { FailureCode, type ProviderFailure } from "@sluice/contract";
import { retryAfterMs } from "@sluice/policy";
import { fromErrorBody } from "./from-error-body.ts";
import { fromFetchError } from "./from-fetch-error.ts";
import { readerOf } from "./read-body.ts";

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
    const init = { method: "POST", headers, body, signal, redirect: "manual" } as const;
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

/**
 * Nothing where it can't be read: the status still says what it says. An error is read until its JSON is
 * whole, and no further: a host that is unwell may never end it. There is no timer here, so one of
 * unknown length that is not whole in its first piece is not waited for.
 */
async function errorBody(response: Response): Promise<unknown> {
  const reader = readerOf(response);
  if (reader === undefined) return undefined;
  if (response.status < 400) {
    // A redirect's page says nothing.
    reader.cancel().catch(() => undefined);
    return undefined;
  }
  const hasLength = response.headers.has("content-length");
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  let value: unknown;
  try {
    while (bytes < maxErrorBytes) {
      const { done, value: piece } = await reader.read();
      if (done) return value;
      bytes += piece.byteLength;
      text += decoder.decode(piece, { stream: true });
      value = parseJson(text);
      if (!hasLength) break;
    }
  } catch {
    return value;
  }
  reader.cancel().catch(() => undefined);
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
