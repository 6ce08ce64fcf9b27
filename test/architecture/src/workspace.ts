import { posix } from "node:path";
import { z } from "zod";
import type { SourceTree } from "./source-tree.ts";

const names = z.record(z.string(), z.unknown()).default({});

const manifestSchema = z.object({
  name: z.string(),
  exports: names,
  dependencies: names,
  peerDependencies: names,
  devDependencies: names,
});

export interface Project {
  /** `packages/guard` */
  readonly folder: string;
  /** `@sluice/guard` */
  readonly name: string;
  readonly dependencies: ReadonlySet<string>;
  readonly devDependencies: ReadonlySet<string>;
  /** Whether others may import `.` or `./package.json` of it. */
  exports(entryPoint: string): boolean;
}

/** The projects of the workspace that have a package.json. */
export function findProjects(tree: SourceTree): Project[] {
  return [...tree.keys()]
    .filter((path) => /^(?:packages|apps|test)\/[^/]+\/package\.json$/.test(path))
    .toSorted()
    .map((path) => {
      const manifest = manifestSchema.parse(JSON.parse(tree.get(path) ?? ""));
      return {
        folder: posix.dirname(path),
        name: manifest.name,
        dependencies: new Set(
          Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
        ),
        devDependencies: new Set(Object.keys(manifest.devDependencies)),
        exports: (entryPoint) =>
          Object.keys(manifest.exports).some((pattern) => posix.matchesGlob(entryPoint, pattern)),
      };
    });
}

/** `packages/guard` for `packages/guard/src/chain.ts`. */
export function folderOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

/** Whether the folder is one of these, where `packages/*` stands for every package. */
export function isOneOf(folder: string, patterns: readonly string[]): boolean {
  return patterns.includes(folder) || patterns.includes(posix.join(posix.dirname(folder), "*"));
}
