export { exitCodes, type ExitCode } from "./exit-codes.ts";
export type { OpenOptions } from "./open-database.ts";
export { run, type RunOptions } from "./run.ts";
