import { globSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import type { SourceTree } from "./source-tree.ts";

const WANTED = [
  "tsconfig*.json",
  "{packages,apps,test}/*/*.json",
  "{packages,apps,test}/*/{src,scripts}/**/*.{ts,tsx,mts,cts,js,jsx,mjs,cjs}",
];

/** Everything the checks look at, from the disk. */
export function readSourceTree(root: string): SourceTree {
  const paths = globSync(WANTED, { cwd: root });
  return new Map(
    paths.map((path) => [path.split(sep).join("/"), readFileSync(join(root, path), "utf8")]),
  );
}
