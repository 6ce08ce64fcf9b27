/** What the command's exit code says; `--help` and the README list the same. */
export const exitCodes = {
  finished: 0,
  brokeOff: 1,
  usage: 2,
  unfinished: 3,
  shut: 4,
  unusableLines: 5,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  finished: "every job is finished, each with an answer, a stub or a FAILED value",
  brokeOff: "the run broke off: a file could not be read or written; start it again",
  usage: "an option, a variable or a file is wrong, or another run has the out file",
  unfinished: "some jobs are unfinished: no budget was left, or the provider could not be called",
  shut: "the feature was shut while the batch was under way: killed, tripped, off, stale flags",
  unusableLines: "every job is finished, but some lines were malformed or repeated an id",
  interrupted: "stopped by SIGINT",
  terminated: "stopped by SIGTERM",
};
