import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

export interface CommandResult {
  readonly exitCode: number;
  /** What it wrote, to both outputs. */
  readonly output: string;
}

/** Runs a program to its end, with the tools of the workspace on its path; never throws. */
export async function runCommand(
  program: string,
  args: readonly string[],
  folder: string,
): Promise<CommandResult> {
  const path = `${ROOT}/node_modules/.bin:${process.env["PATH"] ?? ""}`;
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      { cwd: folder, env: { ...process.env, PATH: path }, maxBuffer: 64 * 2 ** 20 },
      (error, stdout, stderr) => {
        const exitCode = typeof error?.code === "number" ? error.code : error === null ? 0 : 1;
        resolve({ exitCode, output: `${stdout}${stderr}` });
      },
    );
  });
}

/** The same, for a command that has to succeed. */
export async function runOrThrow(
  program: string,
  args: readonly string[],
  folder: string,
): Promise<string> {
  const { exitCode, output } = await runCommand(program, args, folder);
  if (exitCode !== 0) {
    throw new Error(`${program} ${args.join(" ")} ended with ${exitCode}:\n${output}`);
  }
  return output;
}
