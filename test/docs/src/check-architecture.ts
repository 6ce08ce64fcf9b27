import { globSync } from "node:fs";
import { z } from "zod";
import { differences } from "./differences.ts";
import { codesIn, codesOf, tableUnder, type Page } from "./read-page.ts";
import { readText, ROOT } from "./repository.ts";

const manifestSchema = z.object({ dependencies: z.record(z.string(), z.string()).default({}) });

/** Faults of the map: files that are not there, packages, and what they import. */
export function checkArchitecture(page: Page): string[] {
  const files = globSync("packages/*/src/**/*.ts", { cwd: ROOT });
  const named = page.text.match(/[\w-]+\.ts\b/g) ?? [];
  const table = tableUnder(page, "Packages");
  return [
    ...named
      .filter((name) => !files.some((file) => file.endsWith(`/${name}`)))
      .map((name) => `${name} is not there`),
    ...differences(codesOf(table, "package"), globSync("*", { cwd: `${ROOT}packages` })),
    ...table.rows.flatMap((row) => {
      const [name = ""] = codesIn(row("package"));
      const told = row("may import") === "nothing of ours" ? [] : row("may import").split(", ");
      return importsOf(name)
        .filter((other) => !told.includes(other))
        .map((other) => `${name} imports ${other}`);
    }),
  ];
}

function importsOf(name: string): readonly string[] {
  const path = `packages/${name}/package.json`;
  if (globSync(path, { cwd: ROOT }).length === 0) return [];
  const { dependencies } = manifestSchema.parse(JSON.parse(readText(path)));
  return Object.keys(dependencies)
    .filter((dependency) => dependency.startsWith("@sluice/"))
    .map((dependency) => dependency.slice("@sluice/".length));
}
