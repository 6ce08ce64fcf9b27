import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** Stands between a process and its database, and takes the database away. */
export interface DatabaseProxy {
  readonly connectionString: string;
  /** From now on statements still reach the server and answers are lost; resolves when one was. */
  loseAnswer(): Promise<void>;
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Takes connections again. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

export async function startDatabaseProxy(connectionString: string): Promise<DatabaseProxy> {
  const target = new URL(connectionString);
  const folder = target.searchParams.get("host");
  const address =
    folder === null
      ? { host: target.hostname, port: Number(target.port) }
      : { path: `${folder}/.s.PGSQL.${target.port}` };
  const links = new Set<{ readonly client: Socket; readonly upstream: Socket }>();
  const server = createServer((client) => {
    const link = { client, upstream: connect(address) };
    links.add(link);
    client.pipe(link.upstream).pipe(client);
    for (const socket of [client, link.upstream]) {
      socket.on("error", () => undefined);
      socket.on("close", () => void links.delete(link));
    }
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve) => {
      server.listen(port, "127.0.0.1", resolve);
    });
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const through = new URL(connectionString);
  through.searchParams.delete("host");
  through.hostname = "127.0.0.1";
  through.port = String(port);

  const cut = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const { client, upstream } of links) {
        client.destroy();
        upstream.destroy();
      }
    });

  return {
    connectionString: through.href,
    loseAnswer: () =>
      new Promise((resolve) => {
        for (const { client, upstream } of links) {
          upstream.unpipe(client);
          upstream.once("data", () => resolve()).resume();
        }
      }),
    cut,
    restore: () => listen(port),
    close: cut,
  };
}
