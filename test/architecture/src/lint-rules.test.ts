import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

const PLANTS: Readonly<Record<string, string>> = {
  "typescript(no-floating-promises)": `
    export async function work(): Promise<void> {}
    work();`,
  "typescript(no-misused-promises)": `
    export async function work(): Promise<void> {}
    [1].forEach(async () => { await work(); });`,
  "typescript(await-thenable)": `
    export const one = await 1;`,
  "typescript(return-await)": `
    export async function work(): Promise<number> {
      try { return Promise.resolve(1); } catch { return 2; }
    }`,
  "typescript(only-throw-error)": `
    export function work(): void { throw "text"; }`,
  "typescript(no-explicit-any)": `
    export const anything: any = 1;`,
  "typescript(no-non-null-assertion)": `
    export const length = (text: string | undefined): number => text!.length;`,
  "typescript(consistent-type-imports)": `
    import { Other } from "./other.ts";
    export const other: Other = { one: 1 };`,
  "typescript(switch-exhaustiveness-check)": `
    export function work(it: "a" | "b"): void { switch (it) { case "a": break; } }`,
  "import(no-cycle)": `
    import type { Cycle } from "./cycle.ts";
    export type Planted = Cycle | 1;`,
  "import(no-default-export)": `
    export default 1;`,
  "eslint(no-console)": `
    console.log("stray");`,
  "eslint(no-debugger)": `
    debugger;`,
};

const reportSchema = z.object({
  diagnostics: z.array(z.object({ code: z.string(), severity: z.string(), filename: z.string() })),
});

let folder = "";
let caught: readonly string[] = [];

const fileOf = (rule: string, suffix: string): string =>
  `packages/planted/src/${rule.replace(")", "").split("(").join("-")}${suffix}`;

async function plant(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}

/** oxlint ends with an error where it finds one, which is what is wanted here. */
async function lint(): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(ROOT, "node_modules/oxlint/bin/oxlint"), "--type-aware", "--format=json", "."],
      { cwd: folder },
      (_error, stdout) => {
        resolve(stdout);
      },
    );
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-lint-"));
  await copyFile(join(ROOT, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
  await plant(
    "tsconfig.json",
    `{ "compilerOptions": { "strict": true, "module": "nodenext", "target": "es2024", "lib": ["es2024", "dom"], "noEmit": true, "allowImportingTsExtensions": true, "types": [] } }`,
  );
  await plant("packages/planted/package.json", `{ "type": "module" }`);
  await plant("packages/planted/src/other.ts", "export interface Other { readonly one: 1 }");
  await plant(
    "packages/planted/src/cycle.ts",
    `import type { Planted } from "./import-no-cycle.ts";
    import type { Planted as Other } from "./import-no-cycle.test.ts";
    export type Cycle = Planted | Other;`,
  );
  for (const [rule, source] of Object.entries(PLANTS)) {
    await plant(fileOf(rule, ".ts"), source);
    await plant(fileOf(rule, ".test.ts"), source);
  }
  caught = reportSchema
    .parse(JSON.parse(await lint()))
    .diagnostics.map(({ code, severity, filename }) => `${severity} ${code} ${filename}`);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

test.each(Object.keys(PLANTS))("%s is an error in a source and in a test", (rule) => {
  expect(caught).toContain(`error ${rule} ${fileOf(rule, ".ts")}`);
  expect(caught).toContain(`error ${rule} ${fileOf(rule, ".test.ts")}`);
});

test("a file in order passes", () => {
  expect(caught.filter((line) => line.endsWith("other.ts"))).toEqual([]);
});
