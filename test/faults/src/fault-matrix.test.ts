import { describe, it, vi } from "vitest";
import { expectCell } from "./fault-cell.ts";
import { cellsWithoutRetries, cellsWithRetries, isSilent } from "./fault-cells.ts";
import { watchProcess } from "./watch-process.ts";

watchProcess();
// The cells share nothing, and wait more than they work.
vi.setConfig({ maxConcurrency: 8 });

describe.concurrent("without retries", { timeout: 20_000 }, () => {
  it.for(cellsWithoutRetries.filter((cell) => !isSilent(cell)))(
    "$fault × $mode × $route, on failure $onFailure: $expected",
    async (cell, { annotate }) => {
      const { ms } = await expectCell(cell);
      await annotate(`${Math.round(ms)} ms`, "time to outcome");
    },
  );
});

describe.concurrent("with one retry", { timeout: 20_000 }, () => {
  it.for(cellsWithRetries.filter((cell) => !isSilent(cell)))(
    "$fault $strikes × $mode × $route: $expected",
    async (cell, { annotate }) => {
      const { ms } = await expectCell(cell);
      await annotate(`${Math.round(ms)} ms`, "time to outcome");
    },
  );
});
