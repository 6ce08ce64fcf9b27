import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { PublishedPackage } from "./published-packages.ts";
import { ROOT, runOrThrow } from "./run-command.ts";

/** Packs the built packages into the folder. Only pnpm turns `workspace:*` into versions. */
export async function packPackages(
  packages: readonly PublishedPackage[],
  folder: string,
): Promise<void> {
  const { packageManager } = z
    .object({ packageManager: z.string() })
    .parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")));
  const filters = packages.flatMap(({ name }) => ["--filter", name]);
  await runOrThrow(
    "npx",
    ["-y", packageManager, "-r", ...filters, "pack", "--pack-destination", folder],
    ROOT,
  );
}
