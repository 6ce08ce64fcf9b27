/** Where the command writes. Everything it says to people passes here. */
export interface Terminal {
  /** A line of what is going on, to stderr. */
  note(line: string): void;
  /** The result, to stdout. */
  print(text: string): void;
  /** Redraws the bar at the end of stderr; does nothing where that is no terminal. */
  drawBar(line: string): void;
  /** Ends the bar's line. */
  endBar(): void;
  /** Whether stderr shows a bar. */
  readonly showsBar: boolean;
  /** Columns that a bar may fill. */
  readonly columns: number;
}

interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

const eraseLine = "\r\u001b[K";

export function createTerminal(streams: {
  readonly stdout: Stream;
  readonly stderr: Stream;
}): Terminal {
  const { stdout, stderr } = streams;
  // Whoever read the output may have gone (`| head`); the batch goes on without them.
  stdout.on("error", () => undefined);
  stderr.on("error", () => undefined);
  const showsBar = stderr.isTTY === true;
  let barDrawn = false;

  const eraseBar = (): void => {
    if (barDrawn) stderr.write(eraseLine);
    barDrawn = false;
  };

  return {
    showsBar,
    get columns() {
      return Math.max(20, (stderr.columns ?? 80) - 1);
    },
    note(line) {
      eraseBar();
      stderr.write(`${oneLine(line)}\n`);
    },
    print(text) {
      eraseBar();
      stdout.write(`${text}\n`);
    },
    drawBar(line) {
      if (!showsBar) return;
      stderr.write(`${eraseLine}${oneLine(line)}`);
      barDrawn = true;
    },
    endBar() {
      if (barDrawn) stderr.write("\n");
      barDrawn = false;
    },
  };
}

/** A file's name or a model's could hold what forges another line or moves the cursor. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "\u{fffd}");
}
