import { expectations, modes } from "./expectations.ts";
import type { FaultCell } from "./fault-cell.ts";
import { faults, type Fault, type FaultName } from "./faults.ts";

const names = Object.keys(faults) as FaultName[];

/** Whether the guard hears of it at all, or only its clocks tell. */
export const isSilent = ({ fault }: Pick<FaultCell, "fault">): boolean => {
  const { silent }: Fault = faults[fault];
  return silent !== undefined;
};

/** Without retries: the first two columns of the table; the first one under either failure policy. */
export const cellsWithoutRetries: readonly FaultCell[] = names.flatMap((fault) =>
  modes.flatMap((mode): FaultCell[] => {
    const [one, pair] = expectations[fault][mode];
    const cell = { fault, mode, maxRetries: 0, strikes: "always", onFailure: "failed" } as const;
    return [
      { ...cell, route: "one", expected: one },
      { ...cell, route: "one", onFailure: "stub", expected: one },
      { ...cell, route: "pair", expected: pair },
    ];
  }),
);

/** With one retry: the other three. */
export const cellsWithRetries: readonly FaultCell[] = names.flatMap((fault) =>
  modes.flatMap((mode): FaultCell[] => {
    const [, , one, pair, once] = expectations[fault][mode];
    const cell = { fault, mode, maxRetries: 1, strikes: "always", onFailure: "failed" } as const;
    return [
      { ...cell, route: "one", expected: one },
      { ...cell, route: "pair", expected: pair },
      { ...cell, route: "one", strikes: "once", expected: once },
    ];
  }),
);
