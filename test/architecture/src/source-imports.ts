import { findImports } from "./find-imports.ts";
import { parseSource } from "./parse-source.ts";
import { type ImportTarget, resolveImport } from "./resolve-import.ts";
import { isSource, type SourceTree } from "./source-tree.ts";
import type { Project } from "./workspace.ts";

export interface SourceImport {
  readonly importer: string;
  readonly line: number;
  /** Both `undefined` where what is imported is computed. */
  readonly specifier: string | undefined;
  readonly target: ImportTarget | undefined;
}

/** Every import of every source file. */
export function collectImports(tree: SourceTree, projects: readonly Project[]): SourceImport[] {
  return [...tree]
    .filter(([path]) => isSource(path))
    .flatMap(([path, text]) =>
      findImports(parseSource(path, text)).map(({ specifier, line }) => ({
        importer: path,
        line,
        specifier,
        target: specifier === undefined ? undefined : resolveImport(path, specifier, projects),
      })),
    );
}
