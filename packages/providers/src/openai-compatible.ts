import {
  FailureCode,
  type Provider,
  type ProviderCall,
  type ProviderEvent,
  type ProviderFailure,
  type ProviderNotReady,
} from "@sluice/contract";
import { tokenUpperBound } from "@sluice/policy";
import { chatRequest, type RequestDialect } from "./chat-request.ts";
import { send, type Exchange } from "./http-call.ts";
import { promptTokens } from "./prompt-tokens.ts";
import { messagesOf, type Prompt } from "./prompt.ts";
import { readEvents } from "./read-events.ts";
import { responsesRequest } from "./responses-request.ts";
import { toReply } from "./to-reply.ts";

/** Which of OpenAI's two APIs a host is asked through. */
export type Api = "chat" | "responses";

export interface CompatibleHost<In> extends RequestDialect {
  readonly name: string;
  readonly model: string;
  readonly prompt: Prompt<In>;
  readonly api: Api;
  /** Where requests go; undefined while the provider is not ready. */
  readonly url: string | undefined;
  readonly notReady: ProviderNotReady | undefined;
  /** Sent with each request; their names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** A key that is asked for on each call; a rejection is a key that can't be had. */
  readonly key: { readonly header: string; read(): Promise<string> } | undefined;
  readonly tokens: ((text: string) => number) | undefined;
  readonly fetch: typeof fetch | undefined;
}

/**
 * One call of an OpenAI-compatible host over HTTP, whole or streamed. It never retries, holds no timer,
 * and keeps nothing of what it reads.
 */
export function openaiCompatible<In>(host: CompatibleHost<In>): Provider<In> {
  const { prompt, url, notReady } = host;
  const countTokens = promptTokens(host.tokens ?? tokenUpperBound);
  const lingering = { count: 0 };

  function requestBody(call: ProviderCall<In>, stream: boolean): string {
    const model = call.model ?? host.model;
    const { input, promptTemplateVersion, schema, tools, steps, maxOutputTokens } = call;
    const messages = messagesOf(prompt, input, { promptTemplateVersion, model });
    const toRequest = host.api === "responses" ? responsesRequest : chatRequest;
    return JSON.stringify(
      toRequest({ model, messages, steps, schema, tools, maxOutputTokens, stream }, host),
    );
  }

  /** Those of the protocol last: no option of an application's replaces them. */
  function headersOf(call: ProviderCall<In>, stream: boolean): Record<string, string> {
    return {
      ...host.headers,
      "content-type": "application/json",
      accept: stream ? "text/event-stream" : "application/json",
      "idempotency-key": call.idempotencyKey,
    };
  }

  /** The head of a good answer, or why there is none. */
  async function ask(
    call: ProviderCall<In>,
    exchange: Exchange,
    stream: boolean,
  ): Promise<Response | ProviderFailure> {
    if (url === undefined || notReady !== undefined) return notSent(FailureCode.PROVIDER_AUTH);
    if (exchange.signal.aborted) return notSent(FailureCode.PROVIDER_UNAVAILABLE);
    let body: string;
    try {
      body = requestBody(call, stream);
    } catch {
      return notSent(FailureCode.INTERNAL);
    }
    const headers = headersOf(call, stream);
    if (host.key !== undefined) {
      try {
        headers[host.key.header] = await unlessAborted(host.key.read(), exchange.signal);
      } catch {
        return notSent(FailureCode.PROVIDER_AUTH);
      }
    }
    return send({ url, headers, body, fetch: host.fetch ?? fetch }, exchange);
  }

  const answer = (call: ProviderCall<In>, stream: boolean): AsyncIterable<ProviderEvent> =>
    readEvents((exchange) => ask(call, exchange, stream), { call, lingering });

  return {
    name: host.name,
    model: host.model,
    notReady: () => notReady,
    inputTokens({ input, promptTemplateVersion, model, schema, tools, steps }) {
      const context = { promptTemplateVersion, model: model ?? host.model };
      return countTokens({ messages: messagesOf(prompt, input, context), schema, tools, steps });
    },
    async generate(call) {
      const events: ProviderEvent[] = [];
      for await (const event of answer(call, false)) events.push(event);
      return toReply(events);
    },
    stream: (call) => answer(call, true),
  };
}

function notSent(code: FailureCode): ProviderFailure {
  return { ok: false, code, dispatched: false };
}

/** A key that takes forever must not outlast its call. */
function unlessAborted<T>(value: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
    value.then(resolve, reject);
  });
}
