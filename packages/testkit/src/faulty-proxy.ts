import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** Stands before a server on this machine, and is as bad a network as a test wants. */
export interface FaultyProxy {
  readonly port: number;
  /** Replies come so much later from now on, in milliseconds; 0 is at once. */
  delayReplies(byMs: number): void;
  /** Requests still reach the server from now on, and replies are lost. */
  swallowReplies(): void;
  /** The next request reaches the server, and its connection ends in place of the reply. */
  resetBeforeReply(): void;
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Takes connections again, and is a good network. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly upstream: Socket;
}

export async function faultyProxy(target: { readonly port: number }): Promise<FaultyProxy> {
  const links = new Set<Link>();
  let delayMs = 0;
  let fault: "none" | "swallow" | "reset" = "none";
  const server = createServer((client) => {
    const upstream = connect({ host: "127.0.0.1", port: target.port });
    const link = { client, upstream };
    links.add(link);
    client.pipe(upstream);
    upstream.on("data", (chunk) => {
      if (fault === "swallow") return;
      if (fault === "reset") {
        fault = "none";
        client.resetAndDestroy();
        return;
      }
      if (delayMs === 0) client.write(chunk);
      else setTimeout(() => client.write(chunk), delayMs);
    });
    const end = (): void => {
      links.delete(link);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", end);
    }
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve) => {
      server.listen(port, "127.0.0.1", resolve);
    });
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const cut = (): Promise<void> =>
    new Promise((resolve) => {
      if (server.listening) server.close(() => resolve());
      else resolve();
      for (const { client, upstream } of links) {
        client.destroy();
        upstream.destroy();
      }
    });
  return {
    port,
    delayReplies: (byMs) => void (delayMs = byMs),
    swallowReplies: () => void (fault = "swallow"),
    resetBeforeReply: () => void (fault = "reset"),
    cut,
    async restore() {
      delayMs = 0;
      fault = "none";
      if (!server.listening) await listen(port);
    },
    close: cut,
  };
}
