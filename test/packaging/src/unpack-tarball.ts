import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { runOrThrow } from "./run-command.ts";

/** Text of the files in a tarball of npm, by their path in the package. */
export async function unpackTarball(
  tarball: string,
  folder: string,
): Promise<ReadonlyMap<string, string>> {
  const target = await mkdtemp(join(folder, "unpacked-"));
  await runOrThrow("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"], folder);
  const entries = await readdir(target, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return new Map(
    await Promise.all(
      files.map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        const inPackage = relative(target, path).split(sep).join("/");
        return [inPackage, await readFile(path, "utf8")] as const;
      }),
    ),
  );
}
