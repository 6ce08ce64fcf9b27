import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { formatValue, type BenchResult } from "./result.ts";

const page = fileURLToPath(new URL("../../../docs/benchmarks.md", import.meta.url));

/** The figures as the docs show them; a test holds the page against the results. */
export function toMarkdown(result: BenchResult): string {
  return [
    `| ${result.name}, Node ${result.node} | measured | target |`,
    "|---|---|---|",
    ...result.metrics.map((metric) => {
      const { key, target, holds } = metric;
      const bound = target === null ? "" : `${target}${holds === true ? "" : ", missed"}`;
      return `| ${key} | ${formatValue(metric)} | ${bound} |`;
    }),
  ].join("\n");
}

/** The page with the figures between the marks that bear the benchmark's name. */
export function withTable(text: string, result: BenchResult): string {
  const [start, end] = [`<!-- bench:${result.name} -->`, `<!-- /bench:${result.name} -->`];
  const [before, rest] = text.split(start);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) {
    throw new Error(`docs/benchmarks.md has no marks for ${result.name}`);
  }
  return `${before}${start}\n${toMarkdown(result)}\n${end}${after}`;
}

export async function writeDocs(result: BenchResult): Promise<void> {
  await writeFile(page, withTable(await readFile(page, "utf8"), result));
}
