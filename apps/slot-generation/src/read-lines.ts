import type { FileHandle } from "node:fs/promises";

const newline = 0x0a;
const chunkBytes = 64 * 1024;

/** One line of a file, by its place; offsets are bytes. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly start: number;
  /** Past the newline, where there is one. */
  readonly end: number;
  /** False for a last line without a newline. */
  readonly terminated: boolean;
  /** Without a byte order mark or the line's end; undefined when it could not be read. */
  readonly text: string | undefined;
  /** Why there is no text. */
  readonly fault: "too long" | "not UTF-8" | undefined;
}

export interface ReadLinesOptions {
  /** A longer line is passed over without being held in memory. */
  readonly maxLineBytes: number;
  /** Where to stop; default the end of the file. */
  readonly endOffset?: number | undefined;
}

/** Reads a file line by line from its start, holding one chunk and one line. */
export async function* readLines(
  file: FileHandle,
  { maxLineBytes, endOffset = Number.POSITIVE_INFINITY }: ReadLinesOptions,
): AsyncGenerator<Line> {
  // Drops a byte order mark: at the start of the file, and where files were put together.
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let parts: Buffer[] = [];
  let held = 0;
  let start = 0;
  let position = 0;
  let number = 0;

  const hold = (part: Buffer): void => {
    held += part.length;
    // The chunk is read into again, so a part that outlives it is copied.
    if (held <= maxLineBytes) parts.push(Buffer.from(part));
    else parts = [];
  };

  const toLine = (tail: Buffer, end: number, terminated: boolean): Line => {
    const bytes = held + tail.length;
    let text: string | undefined;
    let fault: Line["fault"];
    if (bytes > maxLineBytes) {
      fault = "too long";
    } else {
      try {
        const whole = parts.length === 0 ? tail : Buffer.concat([...parts, tail]);
        text = decoder.decode(whole).replace(/\r$/, "");
      } catch {
        fault = "not UTF-8";
      }
    }
    number += 1;
    const line = { number, start, end, terminated, text, fault };
    start = end;
    parts = [];
    held = 0;
    return line;
  };

  while (position < endOffset) {
    const wanted = Math.min(chunkBytes, endOffset - position);
    const { bytesRead } = await file.read(chunk, 0, wanted, position);
    if (bytesRead === 0) break;
    const seen = chunk.subarray(0, bytesRead);
    let from = 0;
    for (;;) {
      const at = seen.indexOf(newline, from);
      if (at === -1) break;
      yield toLine(seen.subarray(from, at), position + at + 1, true);
      from = at + 1;
    }
    if (from < bytesRead) hold(seen.subarray(from));
    position += bytesRead;
  }
  if (held > 0) yield toLine(Buffer.alloc(0), position, false);
}
