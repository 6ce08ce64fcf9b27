import { expect, test } from "vitest";
import { checkContents } from "./check-contents.ts";

const found = (files: Readonly<Record<string, string>>): string[] =>
  checkContents(
    new Map(
      Object.entries({
        "package.json": "{}",
        LICENSE: "MIT",
        "src/index.ts": "",
        "dist/index.js": "",
        "dist/index.js.map": `{ "sources": ["../src/index.ts"] }`,
        "dist/index.d.ts": "",
        ...files,
      }),
    ),
  );

test("a package in order passes", () => {
  expect(found({})).toEqual([]);
});

test.each([
  "src/index.test.ts",
  "dist/index.test.js",
  "dist/.tsbuildinfo",
  "tsconfig.json",
  "vitest.config.ts",
  ".turbo/turbo-build.log",
  "node_modules/zod/index.js",
])("a package that holds %s is caught", (path) => {
  expect(found({ [path]: "" })).toEqual([`holds ${path}`]);
});

test("a package without its license or its entry point is caught", () => {
  expect(checkContents(new Map([["package.json", "{}"]]))).toEqual([
    "lacks LICENSE",
    "lacks dist/index.js",
    "lacks dist/index.d.ts",
  ]);
});

test.each(["../src/gone.ts", "../../guard/src/index.ts", "/elsewhere/index.ts"])(
  "a map that points at %s is caught",
  (source) => {
    const [problem, ...others] = found({
      "dist/index.d.ts.map": JSON.stringify({ sources: [source] }),
    });
    expect(problem).toMatch(/^dist\/index\.d\.ts\.map points at .+, which is not in the package$/);
    expect(others).toEqual([]);
  },
);

test("a dependency on the workspace is caught", () => {
  expect(found({ "package.json": `{ "dependencies": { "a": "workspace:*" } }` })).toEqual([
    "package.json refers to the workspace",
  ]);
});
