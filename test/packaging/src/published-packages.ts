import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ROOT } from "./run-command.ts";

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  private: z.boolean().default(false),
  exports: z.record(z.string(), z.unknown()).default({}),
});

export interface PublishedPackage {
  readonly name: string;
  /** Modules that may be imported of it: `@sluice/guard`, `@sluice/guard/testing`. */
  readonly specifiers: readonly string[];
  /** The file that `pnpm pack` writes. */
  readonly tarball: string;
}

/** The packages of the workspace that are not private. */
export function listPublishedPackages(): PublishedPackage[] {
  return globSync("packages/*/package.json", { cwd: ROOT })
    .toSorted()
    .map((path) => manifestSchema.parse(JSON.parse(readFileSync(join(ROOT, path), "utf8"))))
    .filter((manifest) => !manifest.private)
    .map(({ name, version, exports }) => ({
      name,
      specifiers: Object.keys(exports)
        .filter((entry) => !entry.endsWith(".json"))
        .map((entry) => name + entry.slice(1)),
      tarball: `${name.replace("@", "").replace("/", "-")}-${version}.tgz`,
    }));
}
