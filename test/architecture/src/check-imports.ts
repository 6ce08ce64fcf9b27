import type { AllowedImports, ImportTable } from "./allowed-imports.ts";
import { objectionTo } from "./import-objection.ts";
import { collectImports } from "./source-imports.ts";
import type { SourceTree } from "./source-tree.ts";
import type { Violation } from "./violation.ts";
import { findProjects, folderOf, isOneOf } from "./workspace.ts";

/** Imports outside the table, undeclared, or past the front door of a package. */
export function checkImports(tree: SourceTree, table: ImportTable): Violation[] {
  const projects = findProjects(tree);
  const unknown = projects
    .filter(({ folder }) => allowedFor(folder, table) === undefined)
    .map(({ folder }) => ({ where: folder, what: "is not in the table of allowed imports" }));

  const forbidden = collectImports(tree, projects).flatMap((found) => {
    const where = `${found.importer}:${found.line}`;
    if (found.target === undefined) {
      return [{ where, what: "imports something computed, which no check can follow" }];
    }
    const project = projects.find(({ folder }) => folder === folderOf(found.importer));
    const allowed = allowedFor(folderOf(found.importer), table);
    if (project === undefined || allowed === undefined) {
      return [];
    }
    const objection = objectionTo(found.target, { path: found.importer, project, allowed });
    return objection === undefined
      ? []
      : [{ where, what: `imports ${found.specifier}, ${objection}` }];
  });
  return [...unknown, ...forbidden];
}

function allowedFor(folder: string, table: ImportTable): AllowedImports | undefined {
  return Object.entries(table).find(([pattern]) => isOneOf(folder, [pattern]))?.[1];
}
