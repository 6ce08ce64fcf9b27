import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readText, ROOT } from "./repository.ts";

const manifest = z
  .object({ packageManager: z.string(), scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readText("package.json")));

export const { packageManager, scripts } = manifest;

/** How pages call pnpm. */
export const PNPM = `npx -y ${packageManager}`;

/**
 * The source of the program that a root script builds and then starts: of `… && node <folder>/dist/<name>.js`
 * the file `<folder>/src/<name>.ts`, provided that the script builds that folder first.
 */
export function sourceOf(script: string): string {
  const [, project, folder = "", name = ""] =
    /turbo run build --filter=(\S+).* && node (\S+)\/dist\/(\S+)\.js$/.exec(
      scripts[script] ?? "",
    ) ?? [];
  const source = `${folder}/src/${name}.ts`;
  const built = z
    .object({ name: z.string() })
    .safeParse(
      existsSync(join(ROOT, folder, "package.json"))
        ? JSON.parse(readText(`${folder}/package.json`))
        : undefined,
    ).data;
  if (built?.name !== project || !existsSync(join(ROOT, source))) {
    throw new Error(`the root script ${script} does not start what it builds`);
  }
  return source;
}

/** The root scripts that `.ci/run` runs, in its order. */
export function checkedScripts(run: string): readonly string[] {
  const [, pnpm] = /^pnpm=\((.*)\)$/m.exec(run) ?? [];
  if (pnpm !== PNPM) throw new Error(`.ci/run calls ${pnpm ?? "no pnpm"}, not ${PNPM}`);
  return [...run.matchAll(/^(?:check|count) \w+ "\$\{pnpm\[@\]\}" (\S+)$/gm)].map(
    ([, script = ""]) => script,
  );
}
