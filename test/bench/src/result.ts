import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

export interface Metric {
  readonly key: string;
  readonly value: number;
  readonly unit: string;
  /** What DESIGN asks for, as a bound in words; null for a figure that is only told. */
  readonly target: string | null;
  /** Whether the target holds in this run; null without a target. */
  readonly holds: boolean | null;
}

export interface BenchResult {
  readonly name: string;
  readonly node: string;
  readonly metrics: readonly Metric[];
}

export function atMost(key: string, value: number, unit: string, bound: number): Metric {
  return { key, value, unit, target: `≤ ${bound}`, holds: value <= bound };
}

export function atLeast(key: string, value: number, unit: string, bound: number): Metric {
  return { key, value, unit, target: `≥ ${bound}`, holds: value >= bound };
}

export function told(key: string, value: number, unit: string): Metric {
  return { key, value, unit, target: null, holds: null };
}

const folder = fileURLToPath(new URL("../results/", import.meta.url));

/** Writes `results/<name>.json`, the figures that the docs quote. */
export async function writeResult(result: BenchResult): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = `${folder}${result.name}.json`;
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
}

export function toTable(result: BenchResult): string {
  const rows = result.metrics.map((metric) => [
    metric.key,
    formatValue(metric),
    metric.target ?? "–",
    metric.holds === null ? "" : metric.holds ? "holds" : "MISSED",
  ]);
  const head = [`${result.name} (node ${result.node})`, "value", "target", ""];
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => (row[column] ?? "").length)),
  );
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Three figures, more would be noise, and the unit where there is one. */
export function formatValue({ value, unit }: Metric): string {
  const figures = Number.isInteger(value) ? value : Number(value.toPrecision(3));
  return `${figures} ${unit}`.trimEnd();
}
