/** What the process ends with; a script may rely on each. */
export const exitCodes = {
  done: 0,
  checkFailed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  refused: 5,
  notConfirmed: 6,
  internal: 70,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** One line for people, by code. */
export const exitCodeMeanings: Readonly<Record<ExitCode, string>> = {
  0: "done",
  1: "the check failed: verify, doctor or reconcile says no, or a process has not applied a kill",
  2: "wrong usage: an unknown command or option, a malformed value",
  3: "the database or Redis can't be reached",
  4: "not found: the feature, the provider, the change, the day's budget, a shadow's figures, or our tables",
  5: "refused by the database or Redis: protected, no rights, read-only",
  6: "not confirmed: it widens, and nobody said yes",
  70: "an internal error",
};
