import {
  costNanoUsd,
  type BudgetAsk,
  type SharedReply,
  type SharedReservation,
  type Usage,
} from "@sluice/contract";
import type { DayKey } from "./counted.ts";
import type { Upkeep } from "./upkeep.ts";

/** Who hears how it ended, besides Redis. */
export interface Also {
  settle(usage: Usage | undefined): void;
  void(): void;
}

/** What was set aside in Redis for one call. */
export function sharedReservation(parts: {
  readonly id: string;
  /** Undefined where no budget counts it. */
  readonly reserved: DayKey | undefined;
  readonly ask: BudgetAsk;
  readonly outputTokens: number;
  readonly upkeep: Upkeep;
  readonly also: Also | undefined;
  readonly further: (ask: BudgetAsk) => Promise<SharedReply | "unavailable">;
}): SharedReservation {
  const { id, reserved, ask, outputTokens, upkeep, also, further } = parts;
  const { inputTokens, price } = ask;
  let isOpen = true;
  return {
    inputTokens,
    outputTokens,
    costNanoUsd: price === undefined ? 0 : costNanoUsd({ inputTokens, outputTokens }, price),
    settle(usage) {
      if (!isOpen) return;
      isOpen = false;
      const told = isCounted(usage) ? usage : undefined;
      if (reserved !== undefined) upkeep.add({ do: "settle", reserved, id, usage: told });
      also?.settle(told);
    },
    void() {
      if (!isOpen) return;
      isOpen = false;
      if (reserved !== undefined) upkeep.add({ do: "void", reserved, id });
      also?.void();
    },
    further,
  };
}

/** Usage that is no count of tokens tells nothing: one NaN would lift every cap of the day. */
function isCounted(usage: Usage | undefined): usage is Usage {
  return isCount(usage?.inputTokens) && isCount(usage?.outputTokens);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
