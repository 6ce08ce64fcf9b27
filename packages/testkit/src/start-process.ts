import { spawn } from "node:child_process";

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program of ours that runs on its own, from its sources. */
export interface RunningProcess {
  /** What it printed so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves with what a pattern finds in its output; rejects when the process ends without it. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  readonly ended: Promise<ProcessEnd>;
  signal(signal: NodeJS.Signals): void;
  /** Ends it at once, if it still runs. */
  kill(): Promise<ProcessEnd>;
}

export interface StartProcessOptions {
  readonly args?: readonly string[];
  /** The whole environment besides `PATH`; nothing else of the test's own is handed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export function startProcess(script: string, options: StartProcessOptions = {}): RunningProcess {
  const { args = [], env = {}, cwd } = options;
  const child = spawn(process.execPath, ["--conditions=@sluice/source", script, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { PATH: process.env["PATH"] ?? "", NODE_ENV: "production", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let end: ProcessEnd | undefined;
  const waiting = new Set<() => void>();
  const changed = (): void => {
    for (const look of waiting) look();
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    changed();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    changed();
  });
  const ended = Promise.withResolvers<ProcessEnd>();
  // `close`, not `exit`: its output is complete.
  child.once("close", (code, signal) => {
    end = { code, signal };
    ended.resolve(end);
    changed();
  });

  return {
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    printed(pattern) {
      const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
      const look = (): void => {
        const found = pattern.exec(stdout) ?? pattern.exec(stderr);
        if (found === null && end === undefined) return;
        waiting.delete(look);
        if (found === null) reject(new Error(`ended without ${String(pattern)}:\n${stderr}`));
        else resolve(found);
      };
      waiting.add(look);
      look();
      return promise;
    },
    ended: ended.promise,
    signal: (signal) => void child.kill(signal),
    kill() {
      if (end === undefined) child.kill("SIGKILL");
      return ended.promise;
    },
  };
}
