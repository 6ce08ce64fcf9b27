import { type AllowedImports, TEST_IMPORTS } from "./allowed-imports.ts";
import type { ImportTarget } from "./resolve-import.ts";
import { isUnpublished } from "./source-tree.ts";
import { folderOf, isOneOf, type Project } from "./workspace.ts";

/** Who imports, and what that place may import. */
export interface Importer {
  readonly path: string;
  readonly project: Project;
  readonly allowed: AllowedImports;
}

/** Why this import may not be; nothing where it may. */
export function objectionTo(target: ImportTarget, importer: Importer): string | undefined {
  switch (target.kind) {
    case "file":
      return objectionToFile(target.path, importer);
    case "node":
      return objectionToNode(target.module, importer);
    case "workspace":
      return objectionToProject(target.project, target.entryPoint, importer);
    case "outside":
      return objectionToOutside(target.name, importer);
  }
}

function objectionToFile(path: string, importer: Importer): string | undefined {
  if (folderOf(path) !== importer.project.folder) {
    return "a path out of its package";
  }
  return isUnpublished(path) && !isUnpublished(importer.path)
    ? "which is never published"
    : undefined;
}

function objectionToNode(module: string, { path, allowed }: Importer): string | undefined {
  return isUnpublished(path) || allowed.node === "any" || allowed.node.includes(module)
    ? undefined
    : "a module of Node that the table does not allow";
}

function objectionToProject(
  target: Project,
  entryPoint: string,
  importer: Importer,
): string | undefined {
  const { path, project, allowed } = importer;
  const workspace = [...allowed.workspace, ...(isUnpublished(path) ? TEST_IMPORTS.workspace : [])];
  if (!isOneOf(target.folder, workspace) || target.folder === project.folder) {
    return "which the table does not allow";
  }
  return target.exports(entryPoint)
    ? objectionToUndeclared(target.name, importer)
    : "which that package does not export";
}

function objectionToOutside(name: string, importer: Importer): string | undefined {
  const { path, project, allowed } = importer;
  if (isUnpublished(path) && isOneOf(name, TEST_IMPORTS.outside)) {
    return undefined;
  }
  const inTable = allowed.outside === "declared" || allowed.outside.includes(name);
  return inTable || (isUnpublished(path) && project.devDependencies.has(name))
    ? objectionToUndeclared(name, importer)
    : "which the table does not allow";
}

/** Only what is never published may live on devDependencies. */
function objectionToUndeclared(name: string, { path, project }: Importer): string | undefined {
  return project.dependencies.has(name) ||
    (isUnpublished(path) && project.devDependencies.has(name))
    ? undefined
    : "which its package.json does not list";
}
