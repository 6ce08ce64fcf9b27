import type { ServerResponse } from "node:http";
import type { StreamEvent } from "@sluice/contract";
import type { GuardStream } from "@sluice/guard";
import { isGivenUp } from "../is-given-up.ts";

/** A guarded answer on its way to a client. */
export interface Pumped<Ok, Failed, Stub> {
  readonly stream: GuardStream<Ok, Failed, Stub>;
  /** Sent before the first event. */
  readonly begin?: string;
  /** `""` for what is not sent. */
  readonly encode: (event: StreamEvent<Ok, Failed, Stub>) => string;
}

/**
 * Sends a guarded stream as fast as the client takes it, and ends the response. A client that leaves ends
 * the upstream call; of one that stalled until the guard gave it up the connection is destroyed.
 */
export async function pump<Ok, Failed, Stub>(
  res: ServerResponse,
  { stream, begin = "", encode }: Pumped<Ok, Failed, Stub>,
): Promise<void> {
  void stream.outcome.then(
    // What is written still would never be read.
    (outcome) => (isGivenUp(outcome) && !res.writableEnded ? res.destroy() : undefined),
    () => undefined,
  );
  const room = roomOf(res);
  if (begin !== "" && !write(res, begin)) await room();
  for await (const event of stream) {
    // Somebody else may have ended it, as for taking too long.
    if (res.destroyed || res.writableEnded) break;
    const text = encode(event);
    if (text !== "" && !write(res, text)) await room();
  }
  if (!res.destroyed) res.end();
}

/** False where the client should take some of it first. */
function write(res: ServerResponse, text: string): boolean {
  const hasRoom = res.write(text);
  // A middleware that compresses would wait for more. Source: npm compression, "Server-Sent Events"
  (res as { readonly flush?: () => void }).flush?.();
  return hasRoom;
}

/** Waits until the client has taken what was written, or is gone. */
function roomOf(res: ServerResponse): () => Promise<void> | undefined {
  let waiting: PromiseWithResolvers<void> | undefined;
  const wake = (): void => {
    waiting?.resolve();
    waiting = undefined;
  };
  // Once for all: a middleware that compresses takes listeners and never lets one go.
  let isListening = false;
  return () => {
    if (res.closed) return undefined;
    if (!isListening) res.on("drain", wake).on("close", wake);
    isListening = true;
    waiting ??= Promise.withResolvers();
    return waiting.promise;
  };
}
