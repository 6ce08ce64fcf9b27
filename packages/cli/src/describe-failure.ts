import { ConfigError, oneLine } from "@sluice/contract";
import { CommanderError } from "commander";
import { CliFailure } from "./cli-failure.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";

export interface Failure {
  readonly exitCode: ExitCode;
  /** One line without a stack; undefined where commander has said it already. */
  readonly line: string | undefined;
}

const unreachableStates = /^(?:08|28|57P0[1-3]|53300|3D000)/;
const refusedStates = /^(?:SL00|42501|P0|22|23|25|40|55|57014)/;
const missingStates = /^(?:42P01|42883|42703|3F000)$/;
const unreachableCodes =
  /^(?:ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EPIPE|ENOENT|EACCES|ERR_TLS.*|CERT_.*|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*)$/;
// These have no code in pg.
const unreachableMessages =
  /^(?:Connection terminated|timeout expired|timeout exceeded when trying to connect|The server does not support SSL|SASL|Client has encountered a connection error)/;
const missingPassword = /^SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must /;

/** An error as an exit code and a line; no secret is in the line. */
export function describeFailure(error: unknown, secrets: readonly string[]): Failure {
  const failure = judge(error);
  return {
    exitCode: failure.exitCode,
    line: failure.line === undefined ? undefined : withoutSecrets(oneLine(failure.line), secrets),
  };
}

function judge(error: unknown): Failure {
  if (error instanceof CliFailure) return { exitCode: error.exitCode, line: error.message };
  if (error instanceof CommanderError) {
    return { exitCode: error.exitCode === 0 ? exitCodes.done : exitCodes.usage, line: undefined };
  }
  // The folder of an embedded database; nothing else of it comes from the command line.
  if (ConfigError.isInstance(error) && error.option === "pglite.folder") {
    return unreachable(error.message);
  }
  if (ConfigError.isInstance(error)) return { exitCode: exitCodes.usage, line: error.message };
  if (!(error instanceof Error)) return { exitCode: exitCodes.internal, line: "unknown error" };
  const code = codeOf(error);
  const message = error.message === "" ? code : error.message;
  if (unreachableCodes.test(code) || unreachableStates.test(code)) return unreachable(message);
  if (code === "" && missingPassword.test(message)) {
    return unreachable("the server asks for a password: none was given");
  }
  if (code === "" && unreachableMessages.test(message)) return unreachable(message);
  if (missingStates.test(code)) {
    return {
      exitCode: exitCodes.notFound,
      line: `${message}; has "sluice migrate" been run with the same --schema, --prefix and --flag-table?`,
    };
  }
  if (refusedStates.test(code)) {
    const way = code === "SL001" ? '; ask with "sluice change request"' : "";
    return { exitCode: exitCodes.refused, line: `refused by the database: ${message}${way}` };
  }
  const name = code === "" ? error.name : code;
  return { exitCode: exitCodes.internal, line: `internal error (${name}): ${message}` };
}

function unreachable(message: string): Failure {
  return {
    exitCode: exitCodes.unreachable,
    line: `the database can't be reached: ${message}`,
  };
}

/** Also of the first of several addresses that were tried, as `localhost` has. */
function codeOf(error: Error): string {
  const { code } = error as { code?: unknown };
  if (typeof code === "string") return code;
  if (error instanceof AggregateError) {
    const first: unknown = error.errors[0];
    if (first instanceof Error) return codeOf(first);
  }
  return error.cause instanceof Error ? codeOf(error.cause) : "";
}

function withoutSecrets(line: string, secrets: readonly string[]): string {
  return secrets.reduce((text, secret) => text.replaceAll(secret, "***"), line);
}
