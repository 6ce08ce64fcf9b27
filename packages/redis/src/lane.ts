import type { AdmissionAsk } from "@sluice/contract";
import type { Day } from "@sluice/policy";
import type { AcquireBatch } from "./acquire-batch.ts";
import { countedBy, type AcquireParts } from "./acquire-call.ts";
import type { Counted, DayKey } from "./counted.ts";

/** What decisions of one shard, of the same limits, modes and day have in common. */
export interface Lane {
  readonly parts: AcquireParts;
  readonly ask: AdmissionAsk | undefined;
  readonly day: Day;
  readonly batch: AcquireBatch;
  /** Where their reservations are; undefined where they bring no budgets. */
  readonly reserved: DayKey | undefined;
  countedBy(insideBits: number): readonly Counted[];
}

export function createLane(
  parts: AcquireParts,
  ask: AdmissionAsk | undefined,
  day: Day,
  batch: AcquireBatch,
): Lane {
  const { policies, keys } = parts;
  const hasBudget = ask?.budget !== undefined && policies.budgets.length > 0;
  // Few combinations of few limits.
  const counted = new Map<number, readonly Counted[]>();
  return {
    parts,
    ask,
    day,
    batch,
    reserved: hasBudget ? { shard: keys.shard, day: keys.budgets(day.name) } : undefined,
    countedBy(insideBits) {
      let all = counted.get(insideBits);
      if (all === undefined) counted.set(insideBits, (all = countedBy(parts, insideBits)));
      return all;
    },
  };
}
