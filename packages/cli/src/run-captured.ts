import { postgres } from "@sluice/sql";
import type { ExitCode } from "./exit-codes.ts";
import { run, type RunOptions } from "./run.ts";

/** What a command line printed, and what it ended with. */
export interface Captured {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

export interface CaptureSettings {
  readonly env?: RunOptions["env"];
  /** What is answered on a terminal; without it there is none. */
  readonly answer?: string;
}

/** Runs one command line as a process would, and keeps what it prints: for tests. */
export async function runCaptured(
  argv: readonly string[],
  { env = {}, answer }: CaptureSettings = {},
): Promise<Captured> {
  let out = "";
  let err = "";
  const code = await run({
    argv,
    env,
    ...(answer !== undefined && { stdin: answers(answer) }),
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    isTty: answer !== undefined,
    open: (options) => postgres({ ...options, applicationName: "sluice-cli" }),
  });
  return { code, out, err };
}

async function* answers(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
}
