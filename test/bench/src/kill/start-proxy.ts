import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";

/** What the network between a fleet and its database can do without a word to either. */
export interface Proxy {
  readonly url: string;
  /** Resolves once so many connections that listen pass. */
  listening(count: number): Promise<void>;
  /** From now on the bytes of the connections that listen vanish; all others pass, new ones too. */
  swallowListening(): void;
  /** From now on all bytes vanish, those of new connections too. */
  swallowAll(): void;
  /** Ends what was swallowed; new connections pass. */
  restore(): void;
  close(): void;
}

interface Line {
  readonly client: Socket;
  readonly upstream: Socket;
  listens: boolean;
  swallowed: boolean;
}

/** Stands before the server that a URL names. */
export async function startProxy(server: URL): Promise<Proxy> {
  const lines = new Set<Line>();
  let swallowsAll = false;

  const pass = (line: Line, from: Socket, to: Socket): void => {
    from.on("data", (bytes: Buffer) => {
      if (line.swallowed) return;
      // Its one statement that hears a channel is sent as text.
      if (from === line.client && bytes.includes("listen ")) line.listens = true;
      to.write(bytes);
    });
    from.on("error", () => undefined);
    from.on("close", () => {
      lines.delete(line);
      // Where nothing arrives any more, an end does not either.
      if (!line.swallowed) to.destroy();
    });
  };

  const listener = createServer((client) => {
    const upstream = connect(Number(server.port || 5432), server.hostname);
    const line: Line = { client, upstream, listens: false, swallowed: swallowsAll };
    lines.add(line);
    pass(line, client, upstream);
    pass(line, upstream, client);
  });
  const ready = Promise.withResolvers<void>();
  listener.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  const url = new URL(server);
  url.hostname = "127.0.0.1";
  url.port = String((listener.address() as AddressInfo).port);

  const swallow = (which: (line: Line) => boolean): void => {
    for (const line of lines) line.swallowed ||= which(line);
  };
  const end = (which: (line: Line) => boolean): void => {
    for (const line of lines) {
      if (!which(line)) continue;
      line.client.destroy();
      line.upstream.destroy();
    }
  };
  const countListening = (): number =>
    [...lines].filter(({ listens, swallowed }) => listens && !swallowed).length;

  return {
    url: url.href,
    async listening(count) {
      while (countListening() < count) await setTimeout(10);
    },
    swallowListening: () => swallow(({ listens }) => listens),
    swallowAll() {
      swallowsAll = true;
      swallow(() => true);
    },
    restore() {
      swallowsAll = false;
      end(({ swallowed }) => swallowed);
    },
    close() {
      listener.close();
      end(() => true);
    },
  };
}
