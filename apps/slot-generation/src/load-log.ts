import { ConfigError } from "@sluice/guard";
import type { FileHandle } from "node:fs/promises";
import { readLines, type Line } from "./read-lines.ts";

/** No line that this command writes comes near it. */
const maxLineBytes = 4 * 1024 * 1024;

/**
 * Reads a file that an {@link AppendLog} wrote, and mends its end. A line is written together with its
 * newline, so a last line without one was being written when the process died: nobody was told that it
 * is durable. It is completed when all of it arrived, else cut off. A disk that lost power may leave
 * zeros there instead.
 * @param take is given each line's text; false when the line is none of this command's
 * @returns what was done to the end of the file
 * @throws ConfigError for a line that no crash explains; nothing is changed then
 */
export async function loadLog(
  file: FileHandle,
  name: string,
  take: (text: string) => boolean,
): Promise<"whole" | "completed" | "cut"> {
  let last: Line | undefined;
  let bad: Line | undefined;
  for await (const line of readLines(file, { maxLineBytes })) {
    if (bad !== undefined) throw foreignLine(name, bad);
    last = line;
    if (line.text === undefined || !take(line.text)) bad = line;
  }
  if (bad !== undefined) {
    if (bad.terminated && bad.text?.includes("\0") !== true) throw foreignLine(name, bad);
    await file.truncate(bad.start);
    await file.datasync();
    return "cut";
  }
  if (last === undefined || last.terminated) return "whole";
  await file.appendFile("\n");
  await file.datasync();
  return "completed";
}

function foreignLine(name: string, line: Line): ConfigError {
  return new ConfigError({
    option: `${name} line ${line.number}`,
    got: "a line that this command did not write",
    expected: "the file as it was left, or a new --out",
  });
}
