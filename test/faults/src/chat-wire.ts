import type { ServerResponse } from "node:http";
import {
  chatCompletion,
  sendJson,
  type UpstreamAnswer,
  type UpstreamRequest,
} from "@sluice/testkit";

/** What is asked of a model: a stream or a whole, JSON or plain text. */
export interface Asked {
  /** Each provider's model has its name. */
  readonly model: string;
  readonly streams: boolean;
  readonly structured: boolean;
}

export function askedOf({ body }: UpstreamRequest): Asked {
  const { model, stream, response_format } = JSON.parse(body) as Readonly<Record<string, unknown>>;
  return {
    model: String(model),
    streams: stream === true,
    structured: response_format !== undefined,
  };
}

/** A good answer in four pieces; each provider has words of its own, so that glue would show. */
export function piecesOf(who: string, structured: boolean): readonly string[] {
  return structured
    ? [`{"status":"OK",`, `"text":"the ${who}",`, `"words":2`, "}"]
    : ["I am ", `the ${who}`, " provider", ", whole."];
}

/** What a provider tells that it used. */
export const usage = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 };

/** Source: https://platform.openai.com/docs/api-reference/chat-streaming/streaming */
const chunk = (more: object): string =>
  `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model: "m", ...more })}\n\n`;

export const contentFrame = (content: string): string =>
  chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
const roleFrame = chunk({
  choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
});
export const endFrames = [
  chunk({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }),
  chunk({ choices: [], usage }),
  "data: [DONE]\n\n",
].join("");

/** The head of a stream, with the frame that comes before any content. */
export function beginStream(res: ServerResponse): void {
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.write(roleFrame);
}

export function beginJson(
  res: ServerResponse,
  headers: Readonly<Record<string, string>> = {},
): void {
  res.writeHead(200, { "content-type": "application/json", ...headers });
}

/** What a provider that is well answers. Its connection is not kept, so that none outlives the upstream. */
export const wellAnswer: UpstreamAnswer = (res, request) => {
  const { model, streams, structured } = askedOf(request);
  const pieces = piecesOf(model, structured);
  res.setHeader("connection", "close");
  if (!streams) {
    sendJson(res, chatCompletion(pieces.join(""), { usage }));
    return;
  }
  beginStream(res);
  for (const piece of pieces) res.write(contentFrame(piece));
  res.end(endFrames);
};
