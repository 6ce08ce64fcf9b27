import { execFile } from "node:child_process";
import { chownSync, globSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { unprivilegedUser } from "./unprivileged-user.ts";

export interface PrivatePostgresOptions {
  /** Where `initdb` and `pg_ctl` are. Default: the newest of Debian's packages. */
  readonly bin?: string;
  /** Of the server's configuration, as `max_connections`. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Of the superuser, whom the server then asks for it. Default: the server trusts everybody. */
  readonly password?: string;
}

/** A PostgreSQL server of a test's own, on this machine alone, that may come and go. */
export interface PrivatePostgres {
  /** Of the database `postgres`, as the superuser; the same after each start. */
  readonly connectionString: string;
  readonly port: number;
  /** As a hot standby, it waits for the log of a primary that never comes; on another port, unseen. */
  start(as?: { readonly standby?: boolean; readonly port?: number }): Promise<void>;
  /** Ends every connection, as an operator's restart does. */
  stop(): Promise<void>;
  /** The server's process dies at once, and says goodbye to nobody. */
  kill9(): Promise<void>;
  /** A standby becomes a primary; resolves once it is. */
  promote(): Promise<void>;
  /** Ends it, and removes all it had. */
  remove(): Promise<void>;
}

const run = promisify(execFile);
const superuser = "postgres";
const startDeadlineMs = 20_000;

/** The newest of Debian's packages; undefined where there is none. */
export function findPostgresBin(): string | undefined {
  return globSync("/usr/lib/postgresql/*/bin/initdb")
    .map((path) => path.slice(0, -"/initdb".length))
    .toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }))
    .at(-1);
}

/** Makes an empty server and starts it. Without `fsync`: it outlives its processes, not the machine. */
export async function privatePostgres(
  options: PrivatePostgresOptions = {},
): Promise<PrivatePostgres> {
  const { bin = findPostgresBin(), settings = {}, password } = options;
  if (bin === undefined) throw new Error("no PostgreSQL server is installed");
  const folder = await mkdtemp(join(tmpdir(), "sluice-postgres-"));
  const owner = unprivilegedUser();
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  const data = join(folder, "data");
  const own = { ...owner, cwd: folder };
  const control = (...args: readonly string[]) =>
    run(
      join(bin, "pg_ctl"),
      ["-D", data, "-w", "-t", String(startDeadlineMs / 1000), ...args],
      own,
    );

  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, `${password ?? "unused"}\n`);
  await chmod(passwordFile, 0o644);
  await run(
    join(bin, "initdb"),
    ["-D", data, "-U", superuser, "-E", "UTF8", "--locale=C", "--no-sync"].concat(
      password === undefined
        ? ["-A", "trust"]
        : ["-A", "scram-sha-256", `--pwfile=${passwordFile}`],
    ),
    own,
  );
  const port = await freePort();
  const fixed = { listen_addresses: "127.0.0.1", unix_socket_directories: folder, fsync: "off" };
  const flags = Object.entries({ ...fixed, ...settings }).map(([name, to]) => `-c ${name}=${to}`);
  const standbySignal = join(data, "standby.signal");
  const serverPid = async (): Promise<number> =>
    Number((await readFile(join(data, "postmaster.pid"), "utf8")).split("\n", 1)[0]);

  const start: PrivatePostgres["start"] = async (as = {}) => {
    if (as.standby === true) await writeFile(standbySignal, "");
    const server = ["-p", String(as.port ?? port), ...flags].join(" ");
    const giveUpMs = performance.now() + startDeadlineMs;
    for (;;) {
      try {
        await control("-l", join(folder, "log"), "-o", server, "start");
        return;
      } catch (error) {
        // What a killed server leaves ends a moment later than the server.
        if (performance.now() > giveUpMs) throw error;
        await setTimeout(50);
      }
    }
  };
  const stop = async (): Promise<void> => void (await control("-m", "fast", "stop"));

  await start();
  const url = new URL(`postgresql://${superuser}@127.0.0.1:${port}/postgres`);
  if (password !== undefined) url.password = encodeURIComponent(password);
  return {
    connectionString: url.href,
    port,
    start,
    stop,
    async kill9() {
      const pid = await serverPid();
      process.kill(pid, "SIGKILL");
      while (isAlive(pid)) await setTimeout(5);
    },
    promote: async () => void (await control("promote")),
    async remove() {
      await control("-m", "immediate", "stop").catch(() => undefined);
      await rm(folder, { recursive: true });
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
