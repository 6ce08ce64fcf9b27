import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { toMarkdown, withTable } from "./docs-table.ts";
import type { BenchResult } from "./result.ts";

const folder = new URL("../results/", import.meta.url);
const page = readFileSync(new URL("../../../docs/benchmarks.md", import.meta.url), "utf8");
const results = globSync("*.json", { cwd: folder }).map(
  (name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")) as BenchResult,
);

describe("the page of benchmarks", () => {
  it.each(results)("shows the figures of $name as they were measured", (result) => {
    expect(withTable(page, result)).toBe(page);
  });

  it("shows no table that nothing measured", () => {
    const tables = [...page.matchAll(/^<!-- bench:(\S+) -->$/gm)].map(([, name]) => name);
    expect(new Set(tables)).toEqual(new Set(results.map(({ name }) => name)));
  });

  it.each(results)("is held to it: another figure of $name is a fault", (result) => {
    const [first, ...others] = result.metrics;
    if (first === undefined) throw new Error("nothing was measured");
    const spoilt = { ...result, metrics: [{ ...first, value: first.value + 1 }, ...others] };
    expect(withTable(page, spoilt)).not.toBe(page);
  });

  it("has to have a place for each result", () => {
    const unheard: BenchResult = { name: "unheard", node: "24.0.0", metrics: [] };
    expect(() => withTable(page, unheard)).toThrow("no marks for unheard");
  });
});

describe("a figure in a table", () => {
  it.each([
    [1.7443, "1.74 µs"],
    [0.82149, "0.821 µs"],
    [2998.7, "3000 µs"],
    [31_234.5, "31200 µs"],
    [12_345, "12345 µs"],
    [0, "0 µs"],
  ])("has three figures and no exponent: %d", (value, text) => {
    expect(shown(value)).toContain(`| figure | ${text} |`);
  });

  it("without a unit ends with its number", () => {
    expect(shown(0, "")).toContain("| figure | 0 |");
  });
});

function shown(value: number, unit = "µs"): string {
  return toMarkdown({
    name: "any",
    node: "24.0.0",
    metrics: [{ key: "figure", value, unit, target: null, holds: null }],
  });
}
