import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it came over the wire. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers in whatever way a test needs: also not at all, or by destroying `res.socket`. */
export type UpstreamAnswer = (res: ServerResponse, request: UpstreamRequest) => void;

/** An HTTP server on loopback that does what a test says and keeps what it was sent. */
export interface Upstream {
  readonly url: string;
  /** Every request whose head arrived, in that order. */
  readonly requests: readonly UpstreamRequest[];
  /** Answers that were not complete yet. */
  readonly open: number;
  /** Resolves when so many requests have arrived whole. */
  received(count: number): Promise<void>;
  /** Resolves when no answer is open: complete, or its client gone. */
  settled(): Promise<void>;
  /** How it answers from now on. */
  answerWith(answer: UpstreamAnswer): void;
  close(): Promise<void>;
}

export async function startUpstream(first: UpstreamAnswer): Promise<Upstream> {
  let answer = first;
  const requests: UpstreamRequest[] = [];
  let whole = 0;
  let open = 0;
  const waiting = new Set<() => void>();
  const changed = (): void => {
    for (const look of waiting) look();
  };
  const until = (holds: () => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (!holds()) return;
      waiting.delete(look);
      resolve();
    };
    waiting.add(look);
    look();
    return promise;
  };

  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    const request = {
      method: req.method ?? "",
      path: req.url ?? "",
      headers: req.headers,
      body: "",
    };
    requests.push(request);
    open += 1;
    res.once("close", () => {
      open -= 1;
      changed();
    });
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("error", () => undefined);
    req.on("end", () => {
      request.body = Buffer.concat(chunks).toString();
      whole += 1;
      answer(res, request);
      changed();
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    get open() {
      return open;
    },
    received: (count) => until(() => whole >= count),
    settled: () => until(() => open === 0),
    answerWith(next) {
      answer = next;
    },
    async close() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

/** A Chat Completions answer as OpenAI sends it. Source: https://platform.openai.com/docs/api-reference/chat/object */
export function chatCompletion(
  content: unknown,
  more: {
    readonly finish?: string;
    readonly message?: object;
    readonly usage?: unknown;
  } = {},
): object {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "gpt-4o-mini-2024-07-18",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content, refusal: null, annotations: [], ...more.message },
        logprobs: null,
        finish_reason: more.finish ?? "stop",
      },
    ],
    usage: more.usage ?? { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 },
    system_fingerprint: null,
  };
}

export function sendJson(res: ServerResponse, body: unknown, status = 200): void {
  res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
