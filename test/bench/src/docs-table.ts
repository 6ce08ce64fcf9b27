import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { formatValue, type BenchResult } from "./result.ts";

const page = fileURLToPath(new URL("../../../docs/benchmarks.md", import.meta.url));

/** The figures as the docs show them; a test holds the page against the results. */
export function toMarkdown(result: BenchResult): string {
  return [
    `| ${result.name}, Node ${result.node} | measured | target |`,
    "|---|---|---|",
    ...result.metrics.map(
      ({ key, value, unit, target, holds }) =>
        `| ${key} | ${formatValue(value)} ${unit} | ${target === null ? "" : `${target}${holds === true ? "" : ", missed"}`} |`,
    ),
  ].join("\n");
}

/** Puts the figures between the marks that bear the benchmark's name. */
export async function writeDocs(result: BenchResult): Promise<void> {
  const [start, end] = [`<!-- bench:${result.name} -->`, `<!-- /bench:${result.name} -->`];
  const text = await readFile(page, "utf8");
  const [before, rest] = text.split(start);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) {
    throw new Error(`docs/benchmarks.md has no marks for ${result.name}`);
  }
  await writeFile(page, `${before}${start}\n${toMarkdown(result)}\n${end}${after}`);
}
