import type { ServerResponse } from "node:http";
import { chatCompletion, sendJson, type UpstreamRequest } from "@sluice/testkit";
import {
  askedOf,
  beginJson,
  beginStream,
  contentFrame,
  endFrames,
  piecesOf,
  usage,
} from "./chat-wire.ts";

/** Does to one request what a sick upstream does. `seen` resolves when its reader has what came so far. */
export type FaultAnswer = (
  res: ServerResponse,
  request: UpstreamRequest,
  seen: Promise<void>,
) => void;

export interface Fault {
  /** Undefined: nothing listens any more. */
  readonly answer: FaultAnswer | undefined;
  /** Pieces of content before it strikes. */
  readonly pieces: 0 | 3;
  /**
   * It is told by the guard's clocks alone: `gap` by those of a stream, `alive` by that of the attempt,
   * which is also the only one of an answer asked for whole.
   */
  readonly silent?: "gap" | "alive";
}

/** When a slow upstream brings its first content: far from either limit. */
const slowMs = 60;
const tooSlowMs = 2500;

const begunPieces = (request: UpstreamRequest): readonly string[] => {
  const { model, structured } = askedOf(request);
  return piecesOf(model, structured).slice(0, 3);
};

/** Head and content so far, in one write: of a stream its frames, else the begin of the JSON. */
function begin(
  res: ServerResponse,
  request: UpstreamRequest,
  pieces: 0 | 3,
  then: () => void = () => undefined,
): void {
  if (!askedOf(request).streams) {
    beginJson(res);
    res.write(pieces === 0 ? " " : `{"choices":[{"index":0,"message":{"content":"I am `, then);
    return;
  }
  beginStream(res);
  const content = pieces === 0 ? "" : begunPieces(request).map(contentFrame).join("");
  res.write(content === "" ? ": alive\n\n" : content, then);
}

/** Only once what came before is read: a socket that breaks takes along what waits in it. */
const cut =
  (pieces: 0 | 3, how: "destroy" | "resetAndDestroy" = "destroy"): FaultAnswer =>
  (res, request, seen) =>
    begin(res, request, pieces, () => void seen.then(() => res.socket?.[how]()));

const serverError = {
  error: { message: "The server had an error", type: "server_error", param: null, code: null },
};

/** An error inside a 200: an event of a stream, or beside `choices`; `told` what was used until then. */
const errorInside =
  (pieces: 0 | 3, told?: object): FaultAnswer =>
  (res, request) => {
    const counted = told === undefined ? {} : { usage: told };
    if (askedOf(request).streams) {
      begin(res, request, pieces);
      if (told !== undefined) res.write(`data: ${JSON.stringify({ choices: [], ...counted })}\n\n`);
      res.end(`data: ${JSON.stringify(serverError)}\n\n`);
      return;
    }
    const begun = pieces === 0 ? {} : { ...chatCompletion("half"), usage: undefined };
    sendJson(res, { ...begun, ...counted, ...serverError });
  };

/** A stream is left open after it: it is for its reader to let go. */
const malformed =
  (pieces: 0 | 3): FaultAnswer =>
  (res, request) => {
    begin(res, request, pieces);
    if (askedOf(request).streams) res.write(`data: {"choices":[{"delta"\n\n`);
    else res.end(`"}},]`);
  };

/** Comes late; a stream shows signs of life until then, none of which is content. */
const slow =
  (ms: number): FaultAnswer =>
  (res, request) => {
    const { model, streams, structured } = askedOf(request);
    const pieces = piecesOf(model, structured);
    if (streams) beginStream(res);
    const alive = setInterval(() => streams && res.write(": alive\n\n"), 30);
    const late = setTimeout(() => {
      if (streams) res.end(pieces.map(contentFrame).join("") + endFrames);
      else sendJson(res, chatCompletion(pieces.join("")));
    }, ms);
    res.once("close", () => {
      clearInterval(alive);
      clearTimeout(late);
    });
  };

/** Begins to answer, and then shows signs of life alone, for ever. */
const aliveOnly: FaultAnswer = (res, request) => {
  begin(res, request, 3);
  const sign = askedOf(request).streams ? ": alive\n\n" : " ";
  const alive = setInterval(() => res.write(sign), 30);
  res.once("close", () => clearInterval(alive));
};

const page = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>";

const rateLimited =
  (headers: Readonly<Record<string, string>>): FaultAnswer =>
  (res) => {
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
    const error = { message: "Rate limit reached", type: "requests", code: "rate_limit_exceeded" };
    sendJson(res, { error }, 429);
  };

/** What an upstream may do, each on a socket of its own. */
export const faults = {
  "cut before content": { answer: cut(0), pieces: 0 },
  "cut after content": { answer: cut(3), pieces: 3 },
  "reset after content": { answer: cut(3, "resetAndDestroy"), pieces: 3 },
  "clean end without a finish": {
    answer: (res, request) => begin(res, request, 3, () => res.end()),
    pieces: 3,
  },
  "hang before the first byte": { answer: () => undefined, pieces: 0, silent: "gap" },
  "hang after three chunks": {
    answer: (res, request) => begin(res, request, 3),
    pieces: 3,
    silent: "gap",
  },
  "signs of life after three chunks": { answer: aliveOnly, pieces: 3, silent: "alive" },
  "error event first": { answer: errorInside(0), pieces: 0 },
  "error event after content": { answer: errorInside(3), pieces: 3 },
  "error event after usage": { answer: errorInside(3, usage), pieces: 3 },
  "malformed frame first": { answer: malformed(0), pieces: 0 },
  "malformed frame after content": { answer: malformed(3), pieces: 3 },
  "empty 200": { answer: (res) => void res.writeHead(200).end(), pieces: 0 },
  "slow first content within the limit": { answer: slow(slowMs), pieces: 0 },
  "slow first content beyond the limit": { answer: slow(tooSlowMs), pieces: 0, silent: "gap" },
  "HTML 502": {
    answer: (res) => void res.writeHead(502, { "content-type": "text/html" }).end(page),
    pieces: 0,
  },
  "connection reset": { answer: (res) => void res.socket?.resetAndDestroy(), pieces: 0 },
  "connection refused": { answer: undefined, pieces: 0 },
  "429 without retry-after": { answer: rateLimited({}), pieces: 0 },
  "429 with retry-after 1": { answer: rateLimited({ "retry-after": "1" }), pieces: 0 },
  "429 with retry-after 30": { answer: rateLimited({ "retry-after": "30" }), pieces: 0 },
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultName = keyof typeof faults;
