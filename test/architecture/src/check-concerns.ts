import { type Concern, UNBOUND } from "./concerns.ts";
import { findTexts } from "./find-texts.ts";
import { findUses } from "./find-uses.ts";
import { type ParsedSource, parseSource } from "./parse-source.ts";
import { isSource, isUnpublished, type SourceTree } from "./source-tree.ts";
import type { Violation } from "./violation.ts";

/** What belongs in one place and was found in another. */
export function checkConcerns(tree: SourceTree, concerns: readonly Concern[]): Violation[] {
  return [...tree]
    .filter(([path]) => isSource(path) && !isUnpublished(path) && !isIn(path, UNBOUND))
    .flatMap(([path, text]) => {
      const source = parseSource(path, text);
      return concerns
        .filter(({ places }) => !isIn(path, places))
        .flatMap((concern) => findConcern(source, concern));
    });
}

function findConcern(source: ParsedSource, { name, uses = [], text }: Concern): Violation[] {
  const used = findUses(source)
    .filter((use) => uses.some((pattern) => isUseOf(use.name, pattern)))
    .map((use) => ({ what: use.name, line: use.line }));
  const written = findTexts(source)
    .filter((found) => text?.test(found.text))
    .map((found) => ({ what: JSON.stringify(found.text.trim().slice(0, 40)), line: found.line }));
  const found = [...used, ...written];
  return found
    .filter(({ line }, index) => found.findIndex((other) => other.line === line) === index)
    .map(({ line, what }) => ({
      where: `${source.path}:${line}`,
      what: `has ${what}, which belongs with ${name}`,
    }));
}

function isUseOf(name: string, pattern: string): boolean {
  return pattern.endsWith(".*")
    ? name.startsWith(pattern.slice(0, -1))
    : name === pattern || name.startsWith(`${pattern}.`);
}

function isIn(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith("/") ? path.startsWith(place) : path === place));
}
