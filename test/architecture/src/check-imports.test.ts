import { describe, expect, test } from "vitest";
import { ALLOWED_IMPORTS } from "./allowed-imports.ts";
import { checkImports } from "./check-imports.ts";
import { plantedTree } from "./planted-tree.ts";
import { describeViolations } from "./violation.ts";

const found = (files: Readonly<Record<string, string>>): string[] =>
  describeViolations(checkImports(plantedTree(files), ALLOWED_IMPORTS));

const planted = (source: string): string[] => found({ "packages/guard/src/planted.ts": source });

const plantedTest = (source: string): string[] =>
  found({ "packages/guard/src/planted.test.ts": source });

test("a workspace in order passes", () => {
  expect(found({})).toEqual([]);
});

describe("a workspace import outside the table is caught", () => {
  const NOT_IN_TABLE = [
    "packages/guard/src/planted.ts:1 imports @sluice/sql, which the table does not allow",
  ];

  test.each([
    `import { sql } from "@sluice/sql";`,
    `import type { Sql } from "@sluice/sql";`,
    `import { type Sql } from "@sluice/sql";`,
    `import "@sluice/sql";`,
    `import sql = require("@sluice/sql");`,
    `export * from "@sluice/sql";`,
    `export * as sql from "@sluice/sql";`,
    `export { sql } from "@sluice/sql";`,
    `export type { Sql } from "@sluice/sql";`,
    `const sql = await import("@sluice/sql");`,
    "const sql = await import(`@sluice/sql`);",
    `type Sql = import("@sluice/sql").Sql;`,
    `const sql = require("@sluice/sql");`,
    `const path = require.resolve("@sluice/sql");`,
    `const load = createRequire(import.meta.url); load("@sluice/sql");`,
    `const load = module.createRequire(import.meta.url); load.resolve("@sluice/sql");`,
    `createRequire(import.meta.url)("@sluice/sql");`,
    `const url = import.meta.resolve("@sluice/sql");`,
  ])("%s", (source) => {
    expect(planted(source)).toEqual(NOT_IN_TABLE);
  });
});

test("an import of something computed is caught", () => {
  expect(planted("\nconst it = await import(`@sluice/${name}`);")).toEqual([
    "packages/guard/src/planted.ts:2 imports something computed, which no check can follow",
  ]);
});

test("a package that imports itself by its name is caught", () => {
  expect(planted(`import { word } from "@sluice/guard";`)).toEqual([
    "packages/guard/src/planted.ts:1 imports @sluice/guard, which the table does not allow",
  ]);
});

test("a workspace import that package.json does not list is caught", () => {
  expect(planted(`import { bucket } from "@sluice/policy";`)).toEqual([
    "packages/guard/src/planted.ts:1 imports @sluice/policy, which the table does not allow",
  ]);
  expect(
    found({
      "packages/policy/package.json": `{ "name": "@sluice/policy", "exports": { ".": "" } }`,
      "packages/guard/src/planted.ts": `import { bucket } from "@sluice/policy";`,
    }),
  ).toEqual([
    "packages/guard/src/planted.ts:1 imports @sluice/policy, which its package.json does not list",
  ]);
});

test("an outside package that is not in the table is caught", () => {
  expect(planted(`import pad from "left-pad";`)).toEqual([
    "packages/guard/src/planted.ts:1 imports left-pad, which the table does not allow",
  ]);
});

test("an outside package that package.json does not list is caught", () => {
  expect(planted(`import type { Api } from "@opentelemetry/api/build";`)).toEqual([
    "packages/guard/src/planted.ts:1 imports @opentelemetry/api/build, which its package.json does not list",
  ]);
});

test("a module of Node where the table allows none is caught", () => {
  expect(
    found({ "packages/contract/src/planted.ts": `import { hash } from "node:crypto";` }),
  ).toEqual([
    "packages/contract/src/planted.ts:1 imports node:crypto, a module of Node that the table does not allow",
  ]);
});

test("policy may hash and do nothing else with Node", () => {
  expect(
    found({
      "packages/policy/package.json": `{ "name": "@sluice/policy" }`,
      "packages/policy/src/planted.ts": `import "node:crypto"; import "fs"; import "node:net";`,
    }),
  ).toEqual([
    "packages/policy/src/planted.ts:1 imports fs, a module of Node that the table does not allow",
    "packages/policy/src/planted.ts:1 imports node:net, a module of Node that the table does not allow",
  ]);
});

test("a deep import into another package is caught", () => {
  expect(planted(`import { word } from "@sluice/contract/src/index.ts";`)).toEqual([
    "packages/guard/src/planted.ts:1 imports @sluice/contract/src/index.ts, which that package does not export",
  ]);
});

test("an entry point may stand for many files", () => {
  expect(
    found({
      "packages/contract/package.json": `{ "name": "@sluice/contract", "exports": { ".": "", "./schema/*.json": "" } }`,
      "packages/guard/src/planted.ts": `
        import "@sluice/contract/schema/events.json";
        import "@sluice/contract/schema/events.ts";`,
    }),
  ).toEqual([
    "packages/guard/src/planted.ts:3 imports @sluice/contract/schema/events.ts, which that package does not export",
  ]);
});

test("a relative path out of the package is caught, in sources and in tests", () => {
  const source = `import { word } from "../../contract/src/index.ts";`;
  const what = "imports ../../contract/src/index.ts, a path out of its package";
  expect(planted(source)).toEqual([`packages/guard/src/planted.ts:1 ${what}`]);
  expect(plantedTest(source)).toEqual([`packages/guard/src/planted.test.ts:1 ${what}`]);
});

test("a source that imports a test or a script is caught", () => {
  expect(planted(`import "./index.test.ts"; import "../scripts/write.ts";`)).toEqual([
    "packages/guard/src/planted.ts:1 imports ./index.test.ts, which is never published",
    "packages/guard/src/planted.ts:1 imports ../scripts/write.ts, which is never published",
  ]);
});

test("tools for tests in a source are caught", () => {
  expect(planted(`import "vitest"; import "supertest"; import "@sluice/testkit";`)).toEqual([
    "packages/guard/src/planted.ts:1 imports vitest, which the table does not allow",
    "packages/guard/src/planted.ts:1 imports supertest, which the table does not allow",
    "packages/guard/src/planted.ts:1 imports @sluice/testkit, which the table does not allow",
  ]);
});

test("a test may use what its package lists for development, and nothing else", () => {
  expect(plantedTest(`import "supertest"; import "autocannon"; import "@sluice/sql";`)).toEqual([
    "packages/guard/src/planted.test.ts:1 imports autocannon, which the table does not allow",
    "packages/guard/src/planted.test.ts:1 imports @sluice/sql, which the table does not allow",
  ]);
});

test("an app may import any package that it lists, and no other app", () => {
  expect(
    found({
      "apps/chat/package.json": `{ "name": "@sluice/chat", "dependencies": { "@sluice/sql": "", "@sluice/mail": "" } }`,
      "apps/mail/package.json": `{ "name": "@sluice/mail", "exports": { ".": "" } }`,
      "apps/chat/src/main.ts": `import "@sluice/sql"; import "@sluice/guard"; import "@sluice/mail";`,
    }),
  ).toEqual([
    "apps/chat/src/main.ts:1 imports @sluice/guard, which its package.json does not list",
    "apps/chat/src/main.ts:1 imports @sluice/mail, which the table does not allow",
  ]);
});

test("a package that the table does not know is caught", () => {
  expect(found({ "packages/mystery/package.json": `{ "name": "@sluice/mystery" }` })).toEqual([
    "packages/mystery is not in the table of allowed imports",
  ]);
});

test("a file that does not parse is an error, not a pass", () => {
  expect(() => planted("import {")).toThrow("packages/guard/src/planted.ts");
});
