import { expect, test } from "vitest";
import { ALLOWED_IMPORTS } from "./allowed-imports.ts";
import { checkConcerns } from "./check-concerns.ts";
import { checkCycles } from "./check-cycles.ts";
import { checkImports } from "./check-imports.ts";
import { checkReferences } from "./check-references.ts";
import { CONCERNS } from "./concerns.ts";
import { readSourceTree } from "./read-source-tree.ts";
import { describeViolations } from "./violation.ts";

const tree = readSourceTree(new URL("../../..", import.meta.url).pathname);

test("every package imports only what the table allows it", () => {
  expect(describeViolations(checkImports(tree, ALLOWED_IMPORTS))).toEqual([]);
});

test("nothing imports itself, neither between files nor between packages", () => {
  expect(describeViolations(checkCycles(tree))).toEqual([]);
});

test("each concern is in its one place", () => {
  expect(describeViolations(checkConcerns(tree, CONCERNS))).toEqual([]);
});

test("TypeScript builds every project after what it depends on", () => {
  expect(describeViolations(checkReferences(tree))).toEqual([]);
});

test("the checks see the sources", () => {
  expect([...tree.keys()]).toEqual(
    expect.arrayContaining(["packages/guard/src/index.ts", "tsconfig.json"]),
  );
});
