import type { ProviderCall, ProviderEvent, ProviderFailure } from "@sluice/contract";
import { answerReader, type AnswerReader } from "./answer-reader.ts";
import { createExchange, type Exchange } from "./http-call.ts";
import { readerOf } from "./read-body.ts";

/** Connections of one provider whose answer was complete before their body was. */
export interface Lingering {
  count: number;
}

/** What reading an answer needs of its call. */
type AnsweredCall = Pick<ProviderCall<never>, "signal" | "idempotencyKey">;

/** More of them would be a host that never ends its bodies; undici ends them after five minutes. */
const maxLingering = 64;

/**
 * The events of an answer, each as soon as it came and pulled one at a time; the call is begun by the first
 * pull. It never throws. Leaving the loop lets go of the body; once the call is aborted it ends without a
 * terminal event, unless nothing was sent.
 */
export async function* readEvents(
  begin: (exchange: Exchange) => Promise<Response | ProviderFailure>,
  { call, lingering }: { readonly call: AnsweredCall; readonly lingering: Lingering },
): AsyncGenerator<ProviderEvent, void, undefined> {
  const exchange = createExchange(call.signal);
  const queue: ProviderEvent[] = [];
  const answer = answerReader(queue, call.idempotencyKey);
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let bodyEnded = false;
  let failed = false;
  try {
    const head = await begin(exchange);
    if ("dispatched" in head) {
      bodyEnded = true;
      if (!exchange.signal.aborted || !head.dispatched) yield { type: "failed", failure: head };
      return;
    }
    reader = readerOf(head);
    // Also where a `fetch` of the application's own does not obey its signal.
    const cancel = (): void => void reader?.cancel().catch(() => undefined);
    exchange.signal.addEventListener("abort", cancel, { once: true });
    while (!answer.ended) {
      const how = reader === undefined ? "ended" : await readOn(reader, answer);
      if (exchange.signal.aborted) return;
      if (how !== undefined) {
        bodyEnded = true;
        answer.end(how);
      }
      failed = queue.at(-1)?.type === "failed";
      for (const event of queue) yield event;
      queue.length = 0;
    }
  } finally {
    if (bodyEnded) exchange.release();
    else if (reader === undefined || !answer.ended || failed || lingering.count >= maxLingering) {
      // After a failure whatever still comes is paid for and of no use.
      exchange.stop();
    } else void readToEnd(reader, exchange, lingering);
  }
}

async function readOn(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  answer: AnswerReader,
): Promise<"ended" | "cut" | undefined> {
  try {
    const { done, value } = await reader.read();
    if (done) return "ended";
    answer.feed(value);
    return undefined;
  } catch {
    return "cut";
  }
}

/**
 * After a complete answer comes at most the end of its body, and a connection whose body was read to the
 * end can serve again. Whatever else comes is not waited for.
 */
async function readToEnd(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  exchange: Exchange,
  lingering: Lingering,
): Promise<void> {
  lingering.count += 1;
  try {
    if (!(await reader.read()).done) exchange.stop();
  } catch {
    // It is closed already.
  } finally {
    lingering.count -= 1;
    exchange.release();
  }
}
