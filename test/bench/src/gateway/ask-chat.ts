import { request, type Agent } from "node:http";

export interface Answered {
  readonly status: number;
  /** As they came, but for `Date`. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly latencyMs: number;
}

export interface Asking {
  readonly port: number;
  readonly agent: Agent;
  readonly body: string;
  readonly user?: string;
  /** Each piece of the body as it comes. */
  readonly onPiece?: (piece: Buffer) => void;
}

/** Asks a route once. Rejects for an answer that is not whole. */
export function askChat({ port, agent, body, user, onPiece }: Asking): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const startedMs = performance.now();
  const asking = request({
    port,
    host: "127.0.0.1",
    agent,
    method: "POST",
    path: "/api",
    headers: {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...(user === undefined ? {} : { "x-user": user }),
    },
  });
  asking.on("error", reject);
  asking.on("response", (res) => {
    const pieces: Buffer[] = [];
    res.on("data", (piece: Buffer) => {
      pieces.push(piece);
      onPiece?.(piece);
    });
    res.on("error", reject);
    res.on("end", () =>
      resolve({
        status: res.statusCode ?? 0,
        headers: withoutDate(res.rawHeaders),
        body: Buffer.concat(pieces),
        latencyMs: performance.now() - startedMs,
      }),
    );
  });
  asking.end(body);
  return promise;
}

function withoutDate(raw: readonly string[]): readonly string[] {
  return raw.filter((_, at) => raw[at - (at % 2)]?.toLowerCase() !== "date");
}
