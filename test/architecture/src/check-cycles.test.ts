import { expect, test } from "vitest";
import { ALLOWED_IMPORTS } from "./allowed-imports.ts";
import { checkCycles } from "./check-cycles.ts";
import { findCycles } from "./find-cycles.ts";
import { plantedTree } from "./planted-tree.ts";
import { describeViolations } from "./violation.ts";

const found = (files: Readonly<Record<string, string>>): string[] =>
  describeViolations(checkCycles(plantedTree(files)));

test("a workspace in order passes", () => {
  expect(found({})).toEqual([]);
});

test("a cycle between files of a package is caught", () => {
  expect(
    found({
      "packages/guard/src/a.ts": `import { b } from "./deep/b.ts";`,
      "packages/guard/src/deep/b.ts": `export { c } from "./c.ts";`,
      "packages/guard/src/deep/c.ts": `export const c = async () => import("../a.ts");`,
    }),
  ).toEqual([
    "packages/guard/src/a.ts imports itself: packages/guard/src/a.ts → packages/guard/src/deep/b.ts → packages/guard/src/deep/c.ts → packages/guard/src/a.ts",
  ]);
});

test("a cycle of types alone is caught", () => {
  expect(
    found({
      "packages/guard/src/a.ts": `import type { B } from "./b.ts";`,
      "packages/guard/src/b.ts": `export type B = import("./a.ts").A;`,
    }),
  ).toEqual([
    "packages/guard/src/a.ts imports itself: packages/guard/src/a.ts → packages/guard/src/b.ts → packages/guard/src/a.ts",
  ]);
});

test("a file that imports itself is caught", () => {
  expect(found({ "packages/guard/src/a.ts": `import "./a.ts";` })).toHaveLength(1);
});

test("a cycle between packages is caught", () => {
  expect(
    found({ "packages/contract/src/planted.ts": `import type { Guard } from "@sluice/guard";` }),
  ).toEqual(["packages/guard imports itself: packages/guard → packages/contract → packages/guard"]);
});

test("a test may use testkit although testkit builds on what is tested", () => {
  expect(
    found({
      "packages/testkit/src/index.ts": `import "@sluice/contract";`,
      "packages/contract/src/index.test.ts": `import "@sluice/testkit";`,
    }),
  ).toEqual([]);
});

test("the table itself has no cycle", () => {
  const edges = Object.entries(ALLOWED_IMPORTS).map(
    ([folder, { workspace }]) => [folder, new Set(workspace)] as const,
  );
  expect(findCycles(new Map(edges))).toEqual([]);
});
