import { switchNames, type FeatureFlags, type FlagSource } from "@sluice/contract";
import { narrowestSwitches, parseSwitches, type Variables } from "@sluice/policy";

/** A switch of the chat gateway stands in the flag table under its name in lower case. */
const features = switchNames.map((name) => [name, name.toLowerCase()] as const);

/**
 * What rows say of the chat gateway's switches, as the environment would say it: `true` for a row that is
 * open, and no variable for a switch without a row.
 */
export function switchVariables(flagsOf: (feature: string) => FeatureFlags | undefined): Variables {
  return Object.fromEntries(
    features.flatMap(([name, feature]) => {
      const flags = flagsOf(feature);
      return flags === undefined ? [] : [[name, textOf(flags)]];
    }),
  );
}

/** A switch with a row is the table's, and the environment may narrow it; another is the environment's. */
export function switchesOf(
  rows: Variables,
  environment: Variables,
): ReturnType<FlagSource["readSwitches"]> {
  const table = parseSwitches({ ...environment, ...rows });
  const own = switchNames.filter((name) => rows[name] !== undefined && !isUnset(environment[name]));
  if (own.length === 0) return table;
  const said = parseSwitches({
    ...rows,
    ...Object.fromEntries(own.map((name) => [name, environment[name]])),
  });
  return {
    switches: narrowestSwitches(table.switches, said.switches),
    problems: [...table.problems, ...said.problems],
  };
}

const isUnset = (text: string | undefined): boolean => text === undefined || text === "";

function textOf({ enabled, killed, percent, problems }: FeatureFlags): string {
  // Is read as what is safest for the switch, which is true for some.
  if (problems.length > 0) return "malformed";
  return String(enabled && !killed && percent > 0);
}
