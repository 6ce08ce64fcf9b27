import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's own folder. */
export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** The pages that a reader is led through, by their path. */
export const PAGES: readonly string[] = globSync(
  ["*.md", "docs/**/*.md", "{apps,packages}/*/*.md"],
  { cwd: ROOT },
).toSorted();
