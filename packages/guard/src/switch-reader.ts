import type { FlagSource, Switches } from "@sluice/contract";
import { parseSwitches } from "@sluice/policy";

/** The switches as they stand; all off where the source throws. */
export function createSwitchReader(source: FlagSource, onThrow: () => void): () => Switches {
  const off = parseSwitches({}).switches;
  return () => {
    try {
      return source.readSwitches().switches;
    } catch {
      onThrow();
      return off;
    }
  };
}
