import type { FlagSource, SwitchName, Switches } from "@sluice/contract";
import { stageOf, type Stage } from "@sluice/gateway";
import type { ChatGateways, ShadowLimits, UnderWay } from "./chat-gateways.ts";
import type { ChatGuard } from "./chat-guard.ts";
import { flagState, type FlagState } from "./flag-state.ts";
import type { FlagsFile } from "./flags-file.ts";
import type { LiveCounts, LiveFigures } from "./live-counts.ts";
import { limitsBySwitch } from "./shared-admission.ts";

export interface AppStateOptions {
  readonly guard: ChatGuard;
  readonly flags: FlagSource;
  /** For people: where the flags come from. Default: their source's name. */
  readonly flagsOrigin?: string | undefined;
  /** For people: where the switches come from. Default: as the flags. */
  readonly switchesOrigin?: string | undefined;
  /** Where the switches come from a file. */
  readonly flagsFile?: FlagsFile | undefined;
  readonly counts: LiveCounts;
  readonly shadow: ShadowLimits;
  /** For people: which model answers. */
  readonly upstream: string;
}

/** What the page shows of this process; no subject's id and no message. */
export interface AppState {
  /** Who answers: the legacy handler alone, the same while the gateway watches, or the gateway. */
  readonly stage: Stage;
  readonly switches: {
    readonly values: Switches;
    readonly origin: string;
    readonly writable: boolean;
    /** Of a switch over a limit: what the limit is. */
    readonly limits: Partial<Record<SwitchName, number>>;
  };
  readonly mirrorShare: number;
  /** The code of what keeps everybody from the model. */
  readonly shut: string | null;
  readonly percent: number;
  readonly flag: FlagState;
  readonly providers: readonly { readonly provider: string; readonly state: string | undefined }[];
  readonly upstream: string;
  readonly problems: readonly string[];
  readonly counts: LiveFigures;
  readonly underWay: UnderWay;
  /** Decisions that hold something now. */
  readonly inFlight: number;
}

export async function appState(
  options: AppStateOptions & { readonly gateways: ChatGateways },
): Promise<AppState> {
  const { guard, flags, gateways, counts, shadow, flagsFile, upstream } = options;
  const { flagsOrigin = flags.name, switchesOrigin = flagsOrigin } = options;
  const { shut, percent, flagProblems, providers } = guard.describe();
  const switches = guard.switches();
  return {
    stage: stageOf(switches),
    switches: {
      values: switches,
      origin: switchesOrigin,
      writable: (await flagsFile?.isWritable()) ?? false,
      limits: limitsBySwitch,
    },
    mirrorShare: shadow.mirrorShare,
    shut: shut?.reason ?? null,
    percent,
    flag: flagState(flags, guard.feature, flagsOrigin),
    providers: providers.map(({ provider, breaker, coolingMs }) => ({
      provider,
      state: coolingMs === undefined ? breaker : "cooling down",
    })),
    upstream,
    problems: [
      ...flagProblems.map(({ variable, readAs }) => `${variable} is malformed, read as ${readAs}`),
      ...providers.flatMap(({ notReady }) => (notReady === undefined ? [] : [notReady])),
    ],
    counts: counts.read(),
    underWay: gateways.underWay(),
    inFlight: guard.inFlight,
  };
}
