import { oneLine } from "@sluice/contract";

export type Cell = string | number | boolean | null | undefined;

/** Columns for people: a header, one line a row, two spaces between. No row is `none`. */
export function printTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return "none\n";
  const lines = [header, ...rows.map((row) => row.map(toText))];
  const widths = header.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? "").length)),
  );
  return lines
    .map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** Names and values, one a line. */
export function printPairs(pairs: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${toText(value)}\n`).join("");
}

function toText(cell: Cell): string {
  if (cell === null || cell === undefined || cell === "") return "-";
  if (cell === true) return "yes";
  if (cell === false) return "no";
  return oneLine(String(cell));
}
