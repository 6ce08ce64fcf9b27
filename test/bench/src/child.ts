import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface Child {
  readonly port: number;
  stop(): void;
}

/** Starts a module of this package that tells the port it listens on. */
export async function startChild(
  module: URL,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const child = fork(fileURLToPath(module), args, { env: { ...process.env, ...env } });
  const [port] = (await once(child, "message")) as [number];
  return { port, stop: () => void child.kill() };
}
