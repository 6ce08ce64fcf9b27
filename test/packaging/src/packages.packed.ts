import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { checkContents } from "./check-contents.ts";
import { packPackages } from "./pack-packages.ts";
import { listPublishedPackages } from "./published-packages.ts";
import { runAttw } from "./run-attw.ts";
import { type CommandResult, runCommand, runOrThrow } from "./run-command.ts";
import { unpackTarball } from "./unpack-tarball.ts";

const CONSUMER_OPTIONS = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2024"];

const packages = listPublishedPackages();
const folder = await mkdtemp(join(tmpdir(), "sluice-packed-"));

/** The program of the installed `@sluice/cli`. */
const sluice = (...args: readonly string[]): Promise<CommandResult> =>
  runCommand(join(folder, "node_modules/.bin/sluice"), args, folder);

beforeAll(async () => {
  await packPackages(packages, folder);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe.each(packages)("$name", ({ tarball }) => {
  test("passes publint", async () => {
    const { exitCode, output } = await runCommand("publint", ["--strict", tarball], folder);
    expect(exitCode, output).toBe(0);
  });

  test("gives its types to every ESM resolver", async () => {
    const { exitCode, output } = await runAttw(tarball, folder);
    expect(exitCode, output).toBe(0);
  });

  test("holds what it should and nothing else", async () => {
    expect(checkContents(await unpackTarball(join(folder, tarball), folder))).toEqual([]);
  });
});

describe("installed fresh", () => {
  beforeAll(async () => {
    await writeFile(join(folder, "package.json"), `{ "private": true, "type": "module" }`);
    const tarballs = packages.map(({ tarball }) => `./${tarball}`);
    // Types that TypeScript users of Node and Express have, and the oldest zod they may have.
    const others = ["@types/node@24", "@types/express@5", "zod@4.1.12"];
    await runOrThrow("npm", ["install", "--no-audit", "--no-fund", ...tarballs, ...others], folder);
  });

  test.each([
    ["@sluice/guard", "createGuard"],
    ["@sluice/next", "chatGateway"],
  ])("%s says on an edge runtime what to use instead", async (specifier, name) => {
    const program = `const { ${name} } = await import("${specifier}");
      try { ${name}(); } catch (error) { console.log(error.message); }`;
    const args = ["--conditions=edge-light", "--input-type=module", "-e", program];
    const { output } = await runCommand("node", args, folder);
    expect(output).toBe(
      `${specifier} ${name}: got the edge runtime, expected the nodejs runtime: \`export const runtime = "nodejs"\` in the route\n`,
    );
  });

  test.each(packages.flatMap(({ specifiers }) => specifiers))(
    "%s can be imported by plain Node",
    async (specifier) => {
      const program = `console.log(Object.keys(await import("${specifier}")).length > 0)`;
      const { output } = await runCommand("node", ["--input-type=module", "-e", program], folder);
      expect(output).toBe("true\n");
    },
  );

  test("the types need nothing that is not installed with them", async () => {
    const imports = packages.flatMap(({ specifiers }) => specifiers).map((it) => `import "${it}";`);
    await writeFile(join(folder, "consumer.ts"), imports.join("\n"));
    const { output } = await runCommand("tsc", [...CONSUMER_OPTIONS, "consumer.ts"], folder);
    // What other libraries get wrong in their types is theirs.
    const ours = output.split("\n").filter((line) => /consumer\.ts|@sluice/.test(line));
    expect(ours).toEqual([]);
  });

  test("the application's schemas are of the zod that Sluice uses", async () => {
    const schema = 'z.object({ status: z.literal("OK") })';
    const other = 'z.object({ status: z.literal("FAILED") })';
    const program = [
      'import { defineContract } from "@sluice/guard";',
      'import { z } from "zod";',
      `defineContract({ ok: ${schema}, failed: ${other} });`,
    ];
    await writeFile(join(folder, "schemas.ts"), program.join("\n"));
    const { output } = await runCommand("tsc", [...CONSUMER_OPTIONS, "schemas.ts"], folder);
    expect(output).toBe("");
  });

  describe("the program sluice", () => {
    test("prints the version of its package", async () => {
      const { version } = z
        .object({ version: z.string() })
        .parse(
          JSON.parse(await readFile(join(folder, "node_modules/@sluice/cli/package.json"), "utf8")),
        );
      expect(await sluice("--version")).toEqual({ exitCode: 0, output: `${version}\n` });
    });

    test("prints its help", async () => {
      const { exitCode, output } = await sluice("--help");
      expect(exitCode).toBe(0);
      expect(output).toMatch(/^Usage: sluice /);
      expect(output).toContain("sluice kill slotgen_ai");
    });

    test("ends with its exit code and one line where no database answers", async () => {
      const url = "postgresql://me:pa55word@127.0.0.1:1/x";
      const { exitCode, output } = await sluice("doctor", "--database-url", url);
      expect(exitCode).toBe(3);
      expect(output).toMatch(/^sluice: the database can't be reached: .*ECONNREFUSED.*\n$/);
      expect(output).not.toContain("pa55word");
    });
  });

  test("a package that is not there cannot be imported", async () => {
    const program = `await import("@sluice/nowhere")`;
    const { exitCode } = await runCommand("node", ["--input-type=module", "-e", program], folder);
    expect(exitCode).toBe(1);
  });
});
