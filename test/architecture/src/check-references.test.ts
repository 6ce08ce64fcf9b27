import { expect, test } from "vitest";
import { checkReferences } from "./check-references.ts";
import { plantedTree } from "./planted-tree.ts";
import { describeViolations } from "./violation.ts";

const found = (files: Readonly<Record<string, string>>): string[] =>
  describeViolations(checkReferences(plantedTree(files)));

test("a workspace in order passes", () => {
  expect(found({})).toEqual([]);
});

test("a dependency that a project does not reference is caught", () => {
  expect(found({ "packages/guard/tsconfig.json": `{ "references": [] }` })).toEqual([
    "packages/guard/tsconfig.json does not reference packages/contract",
  ]);
});

test("a reference without a dependency is caught", () => {
  expect(
    found({ "packages/contract/tsconfig.json": `{ "references": [{ "path": "../guard" }] }` }),
  ).toEqual(["packages/contract/tsconfig.json references packages/guard for no reason"]);
});

test("a project that the root does not build is caught", () => {
  expect(found({ "packages/sql/tsconfig.json": "{}" })).toEqual([
    "tsconfig.tests.json does not reference packages/sql",
    "tsconfig.json does not reference packages/sql",
  ]);
});
