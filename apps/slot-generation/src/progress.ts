import type { Clock } from "@sluice/contract";
import type { Tally } from "./tally.ts";
import type { Terminal } from "./terminal.ts";

const redrawMs = 100;
const lineMs = 5000;
const barColumns = 24;

/** How far a batch is. */
export interface Progress {
  /** Bytes of the jobs file that are dealt with. */
  add(bytes: number): void;
  end(): void;
}

/** Shows how far a batch is: a bar on a terminal, a line every few seconds elsewhere. */
export function showProgress(parts: {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly tally: Tally;
  readonly totalBytes: number;
}): Progress {
  const { terminal, clock, tally, totalBytes } = parts;
  let doneBytes = 0;
  const share = (): number => (totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes));
  const draw = (): void => terminal.drawBar(barLine(share(), tally, terminal.columns));
  const stop = terminal.showsBar
    ? clock.every(redrawMs, draw)
    : clock.every(lineMs, () => terminal.note(progressLine(share(), tally)));
  return {
    add(bytes) {
      doneBytes += bytes;
    },
    end() {
      stop();
      draw();
      terminal.endBar();
    },
  };
}

export function progressLine(share: number, tally: Tally): string {
  const { ai, stub, failed } = tally.byPath;
  const unfinished = tally.unfinishedJobs;
  return [
    `${Math.floor(share * 100)} % of the file`,
    `${tally.finished} finished (${ai} ai, ${stub} stub, ${failed} failed)`,
    ...(unfinished === 0 ? [] : [`${unfinished} unfinished`]),
  ].join(", ");
}

function barLine(share: number, tally: Tally, columns: number): string {
  const full = Math.floor(share * barColumns);
  const bar = `[${"#".repeat(full)}${"-".repeat(barColumns - full)}]`;
  return `${bar} ${progressLine(share, tally)}`.slice(0, columns);
}
