import type { SourceTree } from "./source-tree.ts";

const manifest = (name: string, rest: object = {}): string =>
  JSON.stringify({ name, exports: { ".": "./dist/index.js" }, ...rest });

const tsconfig = (...paths: string[]): string =>
  JSON.stringify({ references: paths.map((path) => ({ path })) });

const BASE = {
  "tsconfig.json": tsconfig("packages/contract", "packages/guard", "tsconfig.tests.json"),
  "tsconfig.tests.json": tsconfig("packages/contract", "packages/guard"),
  "packages/contract/package.json": manifest("@sluice/contract"),
  "packages/contract/tsconfig.json": tsconfig(),
  "packages/contract/src/index.ts": `export const word = "gate";`,
  "packages/guard/package.json": manifest("@sluice/guard", {
    dependencies: { "@sluice/contract": "workspace:*", zod: "4.6.7", "left-pad": "1.0.0" },
    devDependencies: { "@sluice/testkit": "workspace:*", supertest: "1.0.0" },
  }),
  "packages/guard/tsconfig.json": tsconfig("../contract"),
  "packages/guard/src/index.ts": `export { word } from "@sluice/contract"; export { z } from "zod";`,
  "packages/guard/src/index.test.ts": `
    import { test } from "vitest";
    import { fakeClock } from "@sluice/testkit";
    import supertest from "supertest";
    import { word } from "./index.ts";`,
  "packages/sql/package.json": manifest("@sluice/sql"),
  "packages/testkit/package.json": manifest("@sluice/testkit"),
};

/** A small workspace in order, with these files on top. */
export function plantedTree(files: Readonly<Record<string, string>> = {}): SourceTree {
  return new Map(Object.entries({ ...BASE, ...files }));
}
