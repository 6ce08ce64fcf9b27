import { findCycles } from "./find-cycles.ts";
import { collectImports } from "./source-imports.ts";
import { isUnpublished, type SourceTree } from "./source-tree.ts";
import type { Violation } from "./violation.ts";
import { findProjects, folderOf } from "./workspace.ts";

/** Cycles between files of a package and between packages. An import of types alone counts. */
export function checkCycles(tree: SourceTree): Violation[] {
  const betweenFiles = new Map<string, Set<string>>();
  const betweenPackages = new Map<string, Set<string>>();
  for (const { importer, target } of collectImports(tree, findProjects(tree))) {
    if (target?.kind === "file") {
      addEdge(betweenFiles, importer, target.path);
    }
    // testkit builds on packages whose tests use testkit: that is no cycle.
    if (target?.kind === "workspace" && !isUnpublished(importer)) {
      addEdge(betweenPackages, folderOf(importer), target.project.folder);
    }
  }
  return [...findCycles(betweenFiles), ...findCycles(betweenPackages)].map(
    ([first = "", ...rest]) => ({
      where: first,
      what: `imports itself: ${[first, ...rest, first].join(" → ")}`,
    }),
  );
}

function addEdge(edges: Map<string, Set<string>>, from: string, to: string): void {
  const targets = edges.get(from) ?? new Set();
  edges.set(from, targets.add(to));
}
