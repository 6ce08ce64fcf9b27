interface CommandOption {
  /** What its value is; a switch takes none. */
  readonly takes?: "FILE" | "NUMBER" | "AMOUNT";
  readonly short?: string;
  readonly default?: string;
  readonly help: string;
}

const options = {
  out: { takes: "FILE", help: "where finished jobs go, one line each; its journal lies beside it" },
  flags: {
    takes: "FILE",
    help: "read the flags from this file, live, instead of from the environment",
  },
  allowlist: {
    takes: "FILE",
    help: "JSON array of rules over id and metadata; only jobs that one of them permits",
  },
  "max-calls": { takes: "NUMBER", default: "50", help: "calls of the whole batch" },
  "max-tokens": {
    takes: "NUMBER",
    default: "100000",
    help: "input and output tokens of the whole batch",
  },
  "max-cost-usd": { takes: "AMOUNT", help: "dollars of the whole batch; needs --prices" },
  prices: {
    takes: "FILE",
    help: "JSON object of prices by model, in nano-dollars a token",
  },
  "max-output-tokens": { takes: "NUMBER", default: "800", help: "output tokens of one call" },
  concurrency: { takes: "NUMBER", default: "4", help: "jobs under way at once" },
  "accept-stubs": {
    help: "a stub finishes its job whatever the reason, also for want of budget",
  },
  "demo-upstream": {
    help: "answer from a stand-in on this machine instead of a model; needs no key",
  },
  json: { help: "print the summary as JSON" },
  help: { short: "h", help: "print this" },
} as const satisfies Readonly<Record<string, CommandOption>>;

export type OptionName = keyof typeof options;

/** The options of `slotgen run`. */
export const commandOptions: Readonly<Record<OptionName, CommandOption>> = options;
