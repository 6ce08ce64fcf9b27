import type { EventSink, FlagSource, PriceTable, Provider } from "@sluice/contract";
import { createGuard, type Guard } from "@sluice/guard";
import type { BudgetStore } from "@sluice/contract";
import type { AllowlistRule } from "@sluice/policy";
import { z } from "zod";
import type { Job } from "./job.ts";
import type { BatchCaps } from "./journal-record.ts";
import { makeSlots } from "./make-slots.ts";
import { slotsContract, type SlotsFailed, type SlotsOk, type SlotsStub } from "./slots-contract.ts";

export type SlotGuard = Guard<
  Job,
  z.infer<typeof SlotsOk>,
  z.infer<typeof SlotsFailed>,
  z.infer<typeof SlotsStub>
>;

/** The batch is one run: its jobs share the caps and the tripwire. */
export const batchRun = "batch";

/** Slot generation behind its gates. */
export function createSlotGuard(parts: {
  readonly provider: Provider<Job>;
  readonly flags: FlagSource;
  readonly allowlist: readonly AllowlistRule[] | undefined;
  readonly caps: BatchCaps;
  readonly maxOutputTokens: number;
  readonly prices: PriceTable | undefined;
  readonly budgets: BudgetStore;
  readonly sinks: readonly EventSink[];
}): SlotGuard {
  const { provider, flags, allowlist, caps, maxOutputTokens, prices, budgets, sinks } = parts;
  return createGuard({
    feature: "slotgen_ai",
    contract: slotsContract,
    failed: ({ code }) => ({ status: "FAILED" as const, code, slots: [] }),
    stub: (job, context) => {
      const made = makeSlots(job);
      context.measure({ slotsMade: made.slots.length });
      return made;
    },
    provider,
    measures: z.strictObject({ slotsMade: z.int() }),
    measure: ({ slots }) => ({ slotsMade: slots.length }),
    flags,
    optIn: (job) => job.metadata.allowAI === true,
    ...(allowlist === undefined ? {} : { allowlist }),
    budget: {
      callsPerRun: caps.calls,
      tokensPerRun: caps.tokens,
      ...(caps.costNanoUsd === undefined ? {} : { costNanoUsdPerRun: caps.costNanoUsd }),
      maxOutputTokens,
      // Half an answer is no use to a batch: with less left a job waits for a larger budget.
      minOutputTokens: maxOutputTokens,
      store: budgets,
    },
    ...(prices === undefined ? {} : { prices }),
    // One answer that breaks the contract, and no further job is sent.
    tripwire: { scope: "run", schemaFailures: { max: 0 } },
    onFailure: "failed",
    sinks,
  });
}
