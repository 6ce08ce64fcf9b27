import type { ExitCode } from "./exit-codes.ts";

/** A command can't do what it was asked; the message is the one line that people read. */
export class CliFailure extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.name = "CliFailure";
    this.exitCode = exitCode;
  }
}
