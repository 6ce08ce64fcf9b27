import { describe, it, vi } from "vitest";
import { expectCell } from "./fault-cell.ts";
import { cellsWithoutRetries, cellsWithRetries, isSilent } from "./fault-cells.ts";
import { watchProcess } from "./watch-process.ts";

// Apart from the others: what is ended by a clock must not be held up by work.
watchProcess();
vi.setConfig({ maxConcurrency: 8 });

describe.concurrent("without retries, by the clock", { timeout: 20_000 }, () => {
  it.for(cellsWithoutRetries.filter(isSilent))(
    "$fault × $mode × $route, on failure $onFailure: $expected",
    async (cell, { annotate }) => {
      const { ms } = await expectCell(cell);
      await annotate(`${Math.round(ms)} ms`, "time to outcome");
    },
  );
});

describe.concurrent("with one retry, by the clock", { timeout: 20_000 }, () => {
  it.for(cellsWithRetries.filter(isSilent))(
    "$fault $strikes × $mode × $route: $expected",
    async (cell, { annotate }) => {
      const { ms } = await expectCell(cell);
      await annotate(`${Math.round(ms)} ms`, "time to outcome");
    },
  );
});
