import { builtinModules } from "node:module";
import { posix } from "node:path";
import type { Project } from "./workspace.ts";

/** What an import specifier points at. */
export type ImportTarget =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "workspace"; readonly project: Project; readonly entryPoint: string }
  | { readonly kind: "node"; readonly module: string }
  | { readonly kind: "outside"; readonly name: string };

export function resolveImport(
  importer: string,
  specifier: string,
  projects: readonly Project[],
): ImportTarget {
  if (/^\.{0,2}\//.test(specifier) || specifier === "." || specifier === "..") {
    return { kind: "file", path: posix.join(posix.dirname(importer), specifier) };
  }
  if (specifier.startsWith("node:") || builtinModules.includes(specifier)) {
    return { kind: "node", module: specifier };
  }
  const [name = specifier] = /^(?:@[^/]+\/)?[^/]+/.exec(specifier) ?? [];
  const project = projects.find((candidate) => candidate.name === name);
  return project === undefined
    ? { kind: "outside", name }
    : { kind: "workspace", project, entryPoint: `.${specifier.slice(name.length)}` };
}
