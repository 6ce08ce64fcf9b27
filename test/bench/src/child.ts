import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface Child {
  readonly port: number;
  /** Sends a question and takes the next message for its answer; one at a time. */
  ask(question: string): Promise<unknown>;
  stop(): void;
}

interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Options of Node itself, as `--expose-gc`. */
  readonly execArgv?: readonly string[];
}

/** Starts a module of this package that tells the port it listens on. */
export async function startChild(
  module: URL,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<Child> {
  const child = forkModule(module, args, options);
  const port = (await nextMessage(child)) as number;
  return {
    port,
    ask(question) {
      child.send(question);
      return nextMessage(child);
    },
    stop: () => void child.kill(),
  };
}

/** Runs a module of this package that tells one result and ends. */
export async function runChild(
  module: URL,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<unknown> {
  const child = forkModule(module, args, options);
  const ended = once(child, "exit");
  const result = await nextMessage(child);
  await ended;
  return result;
}

function forkModule(
  module: URL,
  args: readonly string[],
  { env = {}, execArgv = [] }: ChildOptions,
): ChildProcess {
  return fork(fileURLToPath(module), args, {
    env: { ...process.env, ...env },
    execArgv: [...execArgv],
  });
}

/** A child that dies says no more, and must not be waited for. */
function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      child.off("message", onMessage);
      reject(new Error(`bench: a child process ended with ${code} before it answered`));
    };
    const onMessage = (message: unknown): void => {
      child.off("exit", onExit);
      resolve(message);
    };
    child.once("exit", onExit);
    child.once("message", onMessage);
  });
}
