import { once } from "node:events";
import { createServer, request, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { onTestFinished } from "vitest";

/** A server of one listener, closed after the test; its port. */
export async function serving(
  listener: (...given: Parameters<RequestListener>) => unknown,
): Promise<number> {
  const server = createServer((req, res) => void listener(req, res));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** What a stream of bytes gives, each byte a character. */
export const collect = async (source: AsyncIterable<unknown>): Promise<string> => {
  let all = "";
  for await (const chunk of source) all += Buffer.from(chunk as Uint8Array).toString("latin1");
  return all;
};

/** Everybody's way to read a request. */
export const readers: Readonly<Record<string, (req: IncomingMessage) => Promise<string>>> = {
  "for await": collect,
  "on data": (req) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let all = "";
    req.on("data", (chunk: Buffer) => {
      all += chunk.toString("latin1");
    });
    req.on("end", () => resolve(all));
    return promise;
  },
  "on readable": (req) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let all = "";
    req.on("readable", () => {
      for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as null) {
        all += chunk.toString("latin1");
      }
    });
    req.on("end", () => resolve(all));
    return promise;
  },
  pipe: (req) => collect(req.pipe(new PassThrough())),
  "as text": (req) => {
    req.setEncoding("latin1");
    const { promise, resolve } = Promise.withResolvers<string>();
    let all = "";
    req.on("data", (chunk: string) => {
      all += chunk;
    });
    req.on("end", () => resolve(all));
    return promise;
  },
  "as a web stream": (req) => collect(Readable.toWeb(req)),
  "a turn later": async (req) => {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    return collect(req);
  },
};

export interface Sent {
  readonly body: string;
  readonly chunked: boolean;
  /** Sent in so many writes, each once the one before has left. */
  readonly writes: number;
}

/** Sends a body, and takes the answer's. */
export async function send(port: number, { body, chunked, writes }: Sent): Promise<string> {
  const sent = request({
    port,
    method: "POST",
    ...(chunked ? {} : { headers: { "content-length": body.length } }),
  });
  const size = Math.ceil(body.length / writes);
  for (let at = 0; at < body.length; at += size) {
    await new Promise<void>((resolve) => {
      sent.write(body.slice(at, at + size), () => resolve());
    });
  }
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return collect(response);
}
