import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** How much longer than the answers their connections may take. */
const lastBytesMs = 1000;

export interface ServeAppOptions {
  readonly host: string;
  /** 0 is a free one. */
  readonly port: number;
  readonly onListening: (url: string) => void;
  /** The last connection is closed. */
  readonly onStopped: () => void;
  /** It could not listen; or, while it does, one connection could not be taken. */
  readonly onError: (error: Error, isListening: boolean) => void;
}

export interface ServedApp {
  /** Takes no new connection, and lets open answers finish until then. */
  stop(deadlineMs: number): void;
}

export function serveApp(app: RequestListener, options: ServeAppOptions): ServedApp {
  const { host, port } = options;
  const server = createServer(app);
  server.listen(port, host, () => {
    const { port: taken } = server.address() as AddressInfo;
    options.onListening(`http://${host.includes(":") ? `[${host}]` : host}:${taken}`);
  });
  server.on("error", (error) => options.onError(error, server.listening));

  let stopping = false;
  server.on("request", (_req, res) => {
    // A kept connection would keep the process after its last answer.
    res.once("close", () => {
      if (stopping) setImmediate(() => server.closeIdleConnections());
    });
  });
  return {
    stop(deadlineMs) {
      if (stopping) return;
      stopping = true;
      server.close(options.onStopped);
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), deadlineMs + lastBytesMs).unref();
    },
  };
}
