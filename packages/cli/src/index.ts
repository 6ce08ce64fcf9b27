export { exitCodes, type ExitCode } from "./exit-codes.ts";
export { run, type OpenOptions, type RunOptions } from "./run.ts";
