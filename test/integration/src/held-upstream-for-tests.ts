import type { ServerResponse } from "node:http";
import { chatCompletion, sendJson, startUpstream } from "@sluice/testkit";
import { onTestFinished } from "vitest";

/** What the upstream was sent. */
export interface UpstreamAsk {
  readonly stream?: boolean;
  readonly messages: readonly { readonly role: string; readonly content: string | null }[];
}

/** One call of the model, which a test answers as it likes. */
export interface HeldCall {
  readonly asked: UpstreamAsk;
  /** Each piece is a chunk of its own. */
  say(...pieces: readonly string[]): void;
  think(text: string): void;
  /** Asks for a tool, and ends the turn. */
  callTool(id: string, name: string, args: object): void;
  /** Ends a stream as it should end. */
  finish(): void;
  /** The answer of a call that does not stream. */
  whole(text: string): void;
  refuse(status: number, headers?: Readonly<Record<string, string>>): void;
  /** An error as an event, in the midst of a stream. */
  errorEvent(): void;
  /** The connection breaks. */
  cut(): void;
  /** Resolves once the call is over; true where it was the caller who left. */
  readonly left: Promise<boolean>;
}

export interface HeldUpstream {
  /** For `baseUrl`. */
  readonly url: string;
  /** Calls so far. */
  readonly calls: number;
  /** The oldest call that nobody has taken yet, or else the next one. */
  next(): Promise<HeldCall>;
}

/** Figures that it says of each answer. */
export const upstreamUsage = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 };

/** OpenAI's API on loopback, each of whose answers the test holds; closed when the test is over. */
export async function startHeldUpstream(): Promise<HeldUpstream> {
  const calls: HeldCall[] = [];
  const takers: ((call: HeldCall) => void)[] = [];
  const upstream = await startUpstream((res, { body }) => {
    const call = heldCall(res, JSON.parse(body) as UpstreamAsk);
    const take = takers.shift();
    if (take === undefined) calls.push(call);
    else take(call);
  });
  onTestFinished(() => upstream.close());
  return {
    url: `${upstream.url}/v1`,
    get calls() {
      return upstream.requests.length;
    },
    next() {
      const call = calls.shift();
      if (call !== undefined) return Promise.resolve(call);
      const { promise, resolve } = Promise.withResolvers<HeldCall>();
      takers.push(resolve);
      return promise;
    },
  };
}

function heldCall(res: ServerResponse, asked: UpstreamAsk): HeldCall {
  const { promise: left, resolve } = Promise.withResolvers<boolean>();
  let isCut = false;
  res.once("close", () => resolve(!isCut && !res.writableFinished));
  const event = (data: unknown): void => {
    if (!res.headersSent) res.writeHead(200, { "content-type": "text/event-stream" });
    res.write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  };
  const chunk = (delta: object, finishReason: string | null = null): void =>
    event({ ...head, choices: [{ index: 0, delta, finish_reason: finishReason }] });
  const finish = (reason: string): void => {
    chunk({}, reason);
    event({ ...head, choices: [], usage: upstreamUsage });
    event("[DONE]");
    res.end();
  };
  return {
    asked,
    left,
    say(...pieces) {
      for (const content of pieces) chunk({ content });
    },
    think: (text) => chunk({ reasoning_content: text }),
    callTool(id, name, args) {
      const called = { name, arguments: JSON.stringify(args) };
      chunk({ tool_calls: [{ index: 0, id, type: "function", function: called }] });
      finish("tool_calls");
    },
    finish: () => finish("stop"),
    whole: (text) => sendJson(res, chatCompletion(text, { usage: upstreamUsage })),
    refuse(status, headers = {}) {
      res.writeHead(status, { "content-type": "application/json", ...headers });
      res.end(
        JSON.stringify({ error: { message: "the upstream's words", type: "x", code: null } }),
      );
    },
    errorEvent: () => {
      event({ error: { message: "the upstream's words", type: "server_error", code: null } });
      res.end();
    },
    cut() {
      isCut = true;
      res.destroy();
    },
  };
}

/** Source: https://platform.openai.com/docs/api-reference/chat/streaming */
const head = {
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1_700_000_000,
  model: "gpt-4o-mini-2024-07-18",
};
