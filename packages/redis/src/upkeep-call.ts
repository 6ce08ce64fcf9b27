import type { Counted, DayKey } from "./counted.ts";
import { placeOf, type UpkeepStep } from "./upkeep-step.ts";

type Argument = string | number;

/** Steps of one kind on the same keys, column by column. */
interface Group {
  readonly ids: string[];
  readonly more: readonly [Argument[], Argument[], Argument[]];
}

const kinds = ["N", "B", "R", "S"] as const;
type Kind = (typeof kinds)[number];
type OfKeys = { [Each in Kind]: Group | undefined };

/** Nothing, where a key would be. */
const noKey = 0;

/**
 * Keys and arguments of a call. Steps are grouped by what they do and by their keys. What goes on comes before
 * what ended: a place is never renewed after it was given back.
 */
export function encodeSteps(
  steps: readonly UpkeepStep[],
  scriptTime: string,
  nowMs: number,
): readonly [readonly string[], readonly Argument[]] {
  const groups = new Map<Counted | DayKey, OfKeys>();
  const settled = new Set<string>();
  for (const step of steps) {
    const { id } = step;
    const on = placeOf(step);
    let ofKeys = groups.get(on);
    if (ofKeys === undefined) {
      groups.set(on, (ofKeys = { N: undefined, B: undefined, R: undefined, S: undefined }));
    }
    switch (step.do) {
      case "release": {
        const { ids, more } = (ofKeys.R ??= newGroup());
        ids.push(id);
        if (step.counted.lists !== undefined) more[0].push(step.subject ?? "");
        break;
      }
      case "join":
      case "beat": {
        const { ids, more } = (ofKeys[step.do === "join" ? "N" : "B"] ??= newGroup());
        ids.push(id);
        more[0].push(Math.max(0, nowMs - step.atMs));
        more[1].push(step.leaseMs);
        if (step.do === "beat" && step.counted.lists !== undefined) {
          more[2].push(step.subject ?? "");
        }
        break;
      }
      case "settle":
      case "void": {
        // Only the first ending of a reservation counts.
        if (settled.has(id)) break;
        settled.add(id);
        const { ids, more } = (ofKeys.S ??= newGroup());
        ids.push(id);
        more[0].push(step.do === "void" ? "v" : (step.usage?.inputTokens ?? ""));
        more[1].push(step.do === "void" ? "" : (step.usage?.outputTokens ?? ""));
      }
    }
  }
  const keys: string[] = [];
  const args: Argument[] = [scriptTime];
  for (const [on, ofKeys] of groups) {
    const [first, second] = "day" in on ? [on.day, undefined] : [on.set, on.lists];
    const numbers = [first, second].map((key) => (key === undefined ? noKey : keys.push(key)));
    for (const kind of kinds) {
      const group = ofKeys[kind];
      if (group === undefined) continue;
      args.push(kind, ...numbers, group.ids.length);
      for (const argument of group.ids) args.push(argument);
      for (const column of group.more) for (const argument of column) args.push(argument);
    }
  }
  return [keys, args];
}

const newGroup = (): Group => ({ ids: [], more: [[], [], []] });
