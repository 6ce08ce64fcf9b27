import { FakeClock } from "@sluice/testkit";
import { expect, test } from "vitest";
import { progressLine, showProgress } from "./progress.ts";
import { Tally } from "./tally.ts";
import { createTerminal } from "./terminal.ts";

function shown(isTTY: boolean) {
  const written: string[] = [];
  const stderr = {
    isTTY,
    columns: 60,
    write: (text: string) => written.push(text),
    on: () => undefined,
  };
  const clock = new FakeClock();
  const tally = new Tally();
  const terminal = createTerminal({ stdout: stderr, stderr });
  const progress = showProgress({ terminal, clock, tally, totalBytes: 200 });
  return { written, clock, tally, terminal, progress };
}

test("a terminal sees a bar that is redrawn in place and fits its columns", () => {
  const { written, clock, tally, progress } = shown(true);
  tally.addUnfinished("BUDGET_CALLS");
  progress.add(100);
  clock.advance(100);
  expect(written).toHaveLength(1);
  expect(written[0]).toMatch(/^\r\p{Cc}\[K\[#{12}-{12}\] 50 % of the file, /u);
  expect(written[0]?.length).toBeLessThanOrEqual(59 + "\r\u{1b}[K".length);
  progress.end();
  expect(written.at(-1)).toBe("\n");
  expect(clock.pendingTimers).toBe(0);
});

test("a line is never written into the bar", () => {
  const { written, clock, terminal } = shown(true);
  clock.advance(100);
  terminal.note("said");
  expect(written.slice(1)).toStrictEqual(["\r\u{1b}[K", "said\n"]);
});

test("elsewhere a line tells of it every few seconds, and no control character is written", () => {
  const { written, clock, progress, tally } = shown(false);
  clock.advance(4000);
  expect(written).toStrictEqual([]);
  progress.add(200);
  clock.advance(1000);
  expect(written).toStrictEqual([`${progressLine(1, tally)}\n`]);
  progress.end();
  expect(written).toHaveLength(1);
});

test("what is unfinished is told only where something is", () => {
  expect(progressLine(1, new Tally())).toBe(
    "100 % of the file, 0 finished (0 ai, 0 stub, 0 failed)",
  );
});
