import { globSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { plant } from "./plant.ts";
import { readFragments } from "./read-fragments.ts";
import { readPage } from "./read-page.ts";
import { PAGES, readText, ROOT } from "./repository.ts";

/** The TypeScript that a page shows, and the fragments of the program that is compiled for it. */
function fragmentsOf(path: string, text: string): { shown: string[]; compiled: readonly string[] } {
  const program = path.replace(/^docs\/(how-to\/.*)\.md$/, "test/docs/src/$1.ts");
  const shown = readPage(text).blocks.filter(({ language }) => language === "ts");
  const texts = shown.map((block) => block.text);
  if (program === path) return { shown: texts, compiled: [] };
  const folder = globSync(program.replace(/\.ts$/, "/**/*.ts"), { cwd: ROOT });
  const files = folder.length === 0 ? [program] : folder;
  // Where a page has several, they are an app's whose bundler takes imports without extensions.
  const written = (file: string): string =>
    files.length === 1 ? readText(file) : readText(file).replaceAll(/(from "\.[^"]*)\.ts"/g, '$1"');
  const compiled = files.flatMap((file) => readFragments(written(file)));
  // Several files say nothing of their order.
  if (files.length > 1) compiled.sort((one, other) => texts.indexOf(one) - texts.indexOf(other));
  return { shown: texts, compiled };
}

// README's program has a test of its own.
const pages = PAGES.filter((path) => path !== "README.md");

describe("the TypeScript that a page shows", () => {
  it.each(pages)("is compiled: %s", (path) => {
    const { shown, compiled } = fragmentsOf(path, readText(path));
    expect(shown).toEqual(compiled);
  });

  it("is there to be compiled", () => {
    const page = "docs/how-to/guard-a-route.md";
    expect(fragmentsOf(page, readText(page)).shown).toHaveLength(6);
  });

  it.each([
    ["docs/how-to/flags.md", "percent: 50", "percent: 60"],
    ["docs/how-to/budgets-and-limits.md", "```ts\nadmission:", "```json\nadmission:"],
    ["docs/how-to/next.md", "deadlineMs: 8000", "deadlineMs: 9000"],
    ["docs/architecture.md", "```\nyour route", "```ts\nyour route"],
  ])("is held to it: another fragment in %s is a fault", (path, good, bad) => {
    const { shown, compiled } = fragmentsOf(path, plant(readText(path), good, bad));
    expect(shown).not.toEqual(compiled);
  });
});
