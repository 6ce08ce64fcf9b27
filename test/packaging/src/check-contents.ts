import { posix } from "node:path";
import { z } from "zod";

const mapSchema = z.object({ sources: z.array(z.string()), sourceRoot: z.string().default("") });

/** What is wrong with the files of a package, by their path in the tarball. */
export function checkContents(files: ReadonlyMap<string, string>): string[] {
  const paths = [...files.keys()];
  return [
    ...["package.json", "LICENSE", "dist/index.js", "dist/index.d.ts"]
      .filter((path) => !files.has(path))
      .map((path) => `lacks ${path}`),
    ...paths.filter(isStray).map((path) => `holds ${path}`),
    ...paths
      .filter((path) => path.endsWith(".map"))
      .flatMap((path) => missingSources(path, files))
      .map(({ path, source }) => `${path} points at ${source}, which is not in the package`),
    ...(files.get("package.json")?.includes("workspace:") === true
      ? ["package.json refers to the workspace"]
      : []),
  ];
}

function isStray(path: string): boolean {
  return (
    /\.(?:test|bench|config)\.|\.tsbuildinfo$|tsconfig|\.log$/.test(path) ||
    !/^(?:dist|src|schema)\/|^migrations\/\d{4}_[a-z_]+\.sql$|^(?:package\.json|LICENSE|README\.md|CHANGELOG\.md)$/.test(
      path,
    )
  );
}

function missingSources(
  path: string,
  files: ReadonlyMap<string, string>,
): { readonly path: string; readonly source: string }[] {
  const { sources, sourceRoot } = mapSchema.parse(JSON.parse(files.get(path) ?? ""));
  return sources
    .map((source) => ({ path, source: posix.join(posix.dirname(path), sourceRoot, source) }))
    .filter(({ source }) => !files.has(source));
}
