import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { ROOT } from "./repository.ts";
import { packageManager, sourceOf } from "./root-scripts.ts";

/** The root scripts that start a program of ours. */
const programs = ["demo", "slotgen"];

export interface RunningBlock {
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves with what the pattern finds in what it printed; rejects when it ends without it. */
  printed(pattern: RegExp): Promise<string>;
  readonly ended: Promise<number | null>;
  stop(): Promise<void>;
}

/**
 * Runs a block of shell commands as a reader would at the top of the repository, but in a folder of its
 * own, and with the programs that `npx -y pnpm…` would build started from their sources.
 */
export function runBlock(text: string, env: Readonly<Record<string, string>> = {}): RunningBlock {
  const folder = mkdtempSync(join(tmpdir(), "sluice-docs-"));
  symlinkSync(join(ROOT, "apps"), join(folder, "apps"));
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "npx"), standInForNpx());
  chmodSync(join(bin, "npx"), 0o755);
  const path = [bin, process.env["PATH"] ?? ""].join(delimiter);
  const child = spawn("bash", ["-e", "-c", text], {
    cwd: folder,
    // Next.js' types, which are in this program too, have it that NODE_ENV is always set.
    env: { PATH: path, ...env } as unknown as NodeJS.ProcessEnv,
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, so that what it started ends with it.
    detached: true,
  });
  let stdout = "";
  let stderr = "";
  const looks = new Set<() => void>();
  const look = (): void => looks.forEach((each) => each());
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
    look();
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      rmSync(folder, { recursive: true });
      resolve(code);
    });
  });
  return {
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    ended,
    printed: (pattern) =>
      new Promise((resolve, reject) => {
        looks.add(() => {
          const [found] = pattern.exec(stdout) ?? [];
          if (found !== undefined) resolve(found);
        });
        look();
        void ended.then(() => reject(new Error(`ended without ${String(pattern)}: ${stderr}`)));
      }),
    async stop() {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGTERM");
      await ended;
    },
  };
}

function standInForNpx(): string {
  const cases = programs.map(
    (script) =>
      `  ${script}) exec "${process.execPath}" --conditions=@sluice/source "${join(ROOT, sourceOf(script))}" "$@";;`,
  );
  return [
    "#!/usr/bin/env bash",
    `[[ "$1 $2" == "-y ${packageManager}" ]] || exit 64`,
    "script=$3",
    "shift 3",
    'case "$script" in',
    ...cases,
    "  *) exit 64;;",
    "esac",
    "",
  ].join("\n");
}
