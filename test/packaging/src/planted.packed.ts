import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runAttw } from "./run-attw.ts";
import { runCommand, runOrThrow } from "./run-command.ts";

const folder = await mkdtemp(join(tmpdir(), "sluice-planted-"));

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Packs a small package with these files and answers the path of the tarball. */
async function packPlanted(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    const target = join(folder, name, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text);
  }
  await runOrThrow("npm", ["pack", "--pack-destination", folder], join(folder, name));
  return join(folder, `${name}-1.0.0.tgz`);
}

const manifest = (name: string, exports: object): string =>
  JSON.stringify({ name, version: "1.0.0", type: "module", license: "MIT", exports });

test("publint catches an export of a file that is not there", async () => {
  const tarball = await packPlanted("no-file", {
    "package.json": manifest("no-file", { ".": "./dist/gone.js" }),
    "dist/index.js": "export const one = 1;",
  });
  const { exitCode, output } = await runCommand("publint", ["--strict", tarball], folder);
  expect(output).toContain("./dist/gone.js");
  expect(exitCode).toBe(1);
});

test("attw catches a package without types", async () => {
  const tarball = await packPlanted("no-types", {
    "package.json": manifest("no-types", { ".": "./index.js" }),
    "index.js": "export const one = 1;",
  });
  const { exitCode } = await runAttw(tarball, folder);
  expect(exitCode).toBe(1);
});

test("attw catches types that are of CommonJS while the code is ESM", async () => {
  const tarball = await packPlanted("other-types", {
    "package.json": manifest("other-types", {
      ".": { types: "./index.d.cts", default: "./index.js" },
    }),
    "index.js": "export const one = 1;",
    "index.d.cts": "export declare const one = 1;",
  });
  const { exitCode } = await runAttw(tarball, folder);
  expect(exitCode).toBe(1);
});
