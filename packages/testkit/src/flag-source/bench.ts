import type { FeatureFlags, FlagSource } from "@sluice/contract";
import type { Variables } from "@sluice/policy";

export interface FlagSourceHarness {
  readonly source: FlagSource;
  /** Replaces everything that is set; a variable left out is unset. */
  readonly set: (variables: Variables) => void | Promise<void>;
  /** Lets as much time pass as the source needs to take up what was set, widening included. */
  readonly settle: () => void | Promise<void>;
  /** Removes what the harness made, a file say; the source is closed before. */
  readonly dispose?: () => void | Promise<void>;
}

/** Opens a source of its own in which these variables are set, and have been for long. */
export type OpenFlagSource = (
  variables: Variables,
) => FlagSourceHarness | Promise<FlagSourceHarness>;

/** What not every source can do; checks of what a source can't are left out. */
export interface FlagSourceAbilities {
  /** Calls its listeners. A source that is only read, like the environment, does not. */
  readonly tells: boolean;
  /** Is set as text, so a value may be malformed, and the gateway's switches may be set. */
  readonly text: boolean;
}

/** The features that the suite sets; a harness over other than text translates the variables of these. */
export const suiteFeatures = ["chat_ai", "slotgen_ai"] as const;

/** `chat_ai` open to everybody. */
export const opened: Variables = { FEATURE_CHAT_AI: "true" };

/** Runs a check on a source of its own. */
export async function withSource(
  open: OpenFlagSource,
  variables: Variables,
  use: (bench: {
    readonly source: FlagSource;
    readonly read: () => FeatureFlags;
    /** Sets, and waits until it counts. */
    readonly change: (variables: Variables) => Promise<void>;
    readonly settle: () => void | Promise<void>;
  }) => void | Promise<void>,
): Promise<void> {
  const { source, set, settle, dispose } = await open(variables);
  try {
    await use({
      source,
      read: () => source.read("chat_ai"),
      async change(next) {
        await set(next);
        await settle();
      },
      settle,
    });
  } finally {
    source.close();
    await dispose?.();
  }
}
