import { once } from "node:events";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { onTestFinished } from "vitest";

/** Serves on loopback until the test is over; its URL. */
export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The smallest host of a Fetch handler: it tells of a client that left, by the signal and the body. */
export const fetchListener =
  (handler: (request: Request) => Response | Promise<Response>): RequestListener =>
  (req, res) => {
    const left = new AbortController();
    res.once("close", () => left.abort());
    const answered = async (): Promise<void> => {
      const response = await handler(
        new Request(`http://${req.headers.host ?? "app"}${req.url ?? "/"}`, {
          method: req.method ?? "GET",
          headers: Object.entries(req.headers).map(([name, value]): [string, string] => [
            name,
            String(value),
          ]),
          body: await buffer(req),
          signal: left.signal,
        }),
      );
      await sendResponse(response, res);
    };
    answered().catch(() => res.destroy());
  };

/** Sends what a Fetch handler answered, piece by piece. */
export async function sendResponse(response: Response, res: ServerResponse): Promise<void> {
  res.writeHead(response.status, Object.fromEntries(response.headers));
  res.flushHeaders();
  const reader = response.body?.getReader();
  res.once("close", () => void reader?.cancel().catch(() => undefined));
  for (;;) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) break;
    res.write(piece.value);
  }
  res.end();
}
