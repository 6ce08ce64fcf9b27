import { posix } from "node:path";
import { z } from "zod";
import type { SourceTree } from "./source-tree.ts";
import type { Violation } from "./violation.ts";
import { findProjects } from "./workspace.ts";

const tsconfigSchema = z.object({
  references: z.array(z.object({ path: z.string() })).default([]),
});

/** Programs of tests, in the root. */
const TESTS = /^tsconfig\.tests(?:\.[a-z]+)?\.json$/;

/** TypeScript builds what is referenced: each project its dependencies, the root every project. */
export function checkReferences(tree: SourceTree): Violation[] {
  const projects = findProjects(tree);
  const built = projects.filter(({ folder }) => tree.has(`${folder}/tsconfig.json`));
  const expected = new Map(
    built.map((project) => [
      `${project.folder}/tsconfig.json`,
      built.filter(({ name }) => project.dependencies.has(name)).map(({ folder }) => folder),
    ]),
  );
  const everything = built.map(({ folder }) => folder);
  const tests = [...tree.keys()].filter((path) => TESTS.test(path));
  for (const program of tests) expected.set(program, everything);
  expected.set("tsconfig.json", [...everything, ...tests]);

  return [...expected].flatMap(([path, wanted]) => {
    const found = referencesIn(tree, path);
    return [
      ...wanted
        .filter((folder) => !found.includes(folder))
        .map((folder) => ({ where: path, what: `does not reference ${folder}` })),
      ...found
        .filter((folder) => !wanted.includes(folder))
        .map((folder) => ({ where: path, what: `references ${folder} for no reason` })),
    ];
  });
}

function referencesIn(tree: SourceTree, path: string): string[] {
  const withoutComments = (tree.get(path) ?? "{}").replaceAll(/^\s*\/\/.*$/gm, "");
  return tsconfigSchema
    .parse(JSON.parse(withoutComments))
    .references.map((reference) => posix.join(posix.dirname(path), reference.path));
}
