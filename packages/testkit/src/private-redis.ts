import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";

export interface PrivateRedisOptions {
  /** Of the server's configuration, as `maxmemory`. Without any, nothing is written to disk. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** A Redis server of a test's own, on this machine alone, that may come and go. */
export interface PrivateRedis {
  /** The same after each start. */
  readonly url: string;
  readonly port: number;
  /** Empty, unless `settings` keep something on disk. */
  start(): Promise<void>;
  /** Ends it as an operator does. */
  stop(): Promise<void>;
  /** The process dies at once. */
  kill9(): Promise<void>;
  /** It takes connections and answers nothing. */
  pause(): void;
  resume(): void;
  /** What `redis-cli` prints for a command. */
  cli(...command: readonly string[]): Promise<string>;
  /** Ends it, and removes all it had. */
  remove(): Promise<void>;
}

const run = promisify(execFile);
const startDeadlineMs = 10_000;

/** Of the first folder of `PATH` that has one; undefined where there is none. */
export function findRedisServer(): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "redis-server"))
    .find(isExecutable);
}

/**
 * For `it.skipIf` and the like: true where no Redis server is installed.
 * @throws Error with `CI=true`, where such tests must not be skipped unseen
 */
export function lacksRedisServer(): boolean {
  if (findRedisServer() !== undefined) return false;
  if (process.env["CI"] === "true") throw new Error("no Redis server is installed");
  return true;
}

/** Makes an empty server and starts it. */
export async function privateRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const binary = findRedisServer();
  if (binary === undefined) throw new Error("no Redis server is installed");
  const folder = await mkdtemp(join(tmpdir(), "sluice-redis-"));
  const port = await freePort();
  const settings: Record<string, string | number> = {
    save: "",
    appendonly: "no",
    dir: folder,
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, to]) => [`--${name}`, String(to)]);
  let server: ChildProcess | undefined;

  const cli = async (...command: readonly string[]): Promise<string> => {
    const { stdout } = await run("redis-cli", ["-p", String(port), ...command]);
    return stdout.trimEnd();
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ended = server;
    server = undefined;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return;
    const exit = once(ended, "exit");
    ended.kill(signal);
    // A paused one hears of it later otherwise.
    ended.kill("SIGCONT");
    await exit;
  };
  const start = async (): Promise<void> => {
    if (server !== undefined) throw new Error("the server runs already");
    const started = spawn(binary, ["--port", String(port), "--bind", "127.0.0.1", ...flags], {
      cwd: folder,
      stdio: "ignore",
    });
    server = started;
    const giveUpMs = performance.now() + startDeadlineMs;
    while (!/PONG|NOAUTH/.test(await cli("ping").catch(() => ""))) {
      if (started.exitCode !== null || performance.now() > giveUpMs) {
        await end("SIGKILL");
        throw new Error("the Redis server did not start");
      }
      await setTimeout(10);
    }
  };

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    start,
    stop: () => end("SIGTERM"),
    kill9: () => end("SIGKILL"),
    pause: () => void server?.kill("SIGSTOP"),
    resume: () => void server?.kill("SIGCONT"),
    cli,
    async remove() {
      await end("SIGKILL");
      await rm(folder, { recursive: true });
    },
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
