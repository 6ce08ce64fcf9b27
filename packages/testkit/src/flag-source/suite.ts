import { describeChecks, type Check } from "../conformance.ts";
import type { FlagSourceAbilities, OpenFlagSource } from "./bench.ts";
import { changeChecks, tellingChecks } from "./change-checks.ts";
import { readChecks } from "./read-checks.ts";
import { textChecks } from "./text-checks.ts";

export function flagSourceChecks(abilities: FlagSourceAbilities): readonly Check<OpenFlagSource>[] {
  return [
    ...readChecks,
    ...changeChecks,
    ...(abilities.tells ? tellingChecks : []),
    ...(abilities.text ? textChecks : []),
  ];
}

/** What every flag source does, wherever its flags come from. */
export function describeFlagSource(
  name: string,
  open: OpenFlagSource,
  abilities: FlagSourceAbilities,
): void {
  describeChecks(`${name} as a flag source`, flagSourceChecks(abilities), open);
}
