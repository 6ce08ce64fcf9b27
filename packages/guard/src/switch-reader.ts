import type { FlagProblem, FlagSource, Switches } from "@sluice/contract";
import { parseSwitches } from "@sluice/policy";
import type { Events } from "./events.ts";
import { problemText } from "./problem-text.ts";

export interface SwitchReader {
  /** The switches as they stand; all off where the source throws. */
  read(): Switches;
  /** Those that are malformed now. */
  problems(): readonly FlagProblem[];
}

/** Tells of each malformed switch once for as long as it stays malformed. */
export function createSwitchReader(
  source: FlagSource,
  events: Events,
  onThrow: () => void,
): SwitchReader {
  const off = parseSwitches({});
  let told = new Set<string>();

  const look = (): ReturnType<FlagSource["readSwitches"]> => {
    try {
      return source.readSwitches();
    } catch {
      onThrow();
      return off;
    }
  };

  const tell = (problems: readonly FlagProblem[]): void => {
    if (problems.length === 0 && told.size === 0) return;
    for (const problem of problems) {
      const { variable } = problem;
      if (told.has(variable)) continue;
      events.alert({ code: "FLAG_MALFORMED", message: problemText(problem), variable });
    }
    told = new Set(problems.map(({ variable }) => variable));
  };

  return {
    read() {
      const { switches, problems } = look();
      tell(problems);
      return switches;
    },
    problems: () => look().problems,
  };
}
