import type { Client, EvaluationContext } from "@openfeature/server-sdk";
import { switchNames, type FlagSource, type SwitchName } from "@sluice/contract";
import { parseSwitches } from "@sluice/policy";
import { isAnswer } from "./evaluate-flags.ts";

/** The key of the boolean flag that is a switch of the chat gateway; undefined: the switch is false. */
export type SwitchKeyOf = (name: SwitchName) => string | undefined;

type ReadSwitches = ReturnType<FlagSource["readSwitches"]>;

/**
 * Evaluates the chat gateway's switches. Undefined when the platform could not answer, or only with what it
 * calls stale. A flag that it does not have, or that is of another type, has the switch's safest reading.
 */
export async function evaluateSwitches(
  client: Client,
  keyOf: SwitchKeyOf,
  context: EvaluationContext | undefined,
): Promise<ReadSwitches | undefined> {
  const answers = await Promise.all(
    switchNames.map(async (name) => {
      const key = keyOf(name);
      if (key === undefined) return { name, text: undefined };
      const details = await client.getBooleanDetails(key, false, context);
      if (!isAnswer(details)) return undefined;
      const text = details.errorCode === undefined ? String(details.value) : "malformed";
      return { name, text };
    }),
  );
  const known = answers.filter((answer) => answer !== undefined);
  if (known.length < answers.length) return undefined;
  return parseSwitches(Object.fromEntries(known.map(({ name, text }) => [name, text])));
}
