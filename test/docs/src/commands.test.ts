import { accessSync, constants, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { plant } from "./plant.ts";
import { codesIn, readPage } from "./read-page.ts";
import { PAGES, readText, ROOT } from "./repository.ts";
import { checkedScripts, packageManager, PNPM, scripts, sourceOf } from "./root-scripts.ts";
import { runBlock } from "./run-block.ts";

const shell = /^(?:sh|bash|shell|console)$/;

function shellBlocks(text: string): readonly string[] {
  return readPage(text)
    .blocks.filter(({ language }) => shell.test(language))
    .map((block) => block.text);
}

/** The blocks of commands that a page shows, and who runs them. */
const KNOWN: Readonly<Record<string, number>> = {
  // Below.
  "README.md": 2,
  "apps/slot-generation/README.md": 1,
  // Built and started by test/browser/src/chat-next.test.ts.
  "apps/chat-next/README.md": 1,
  // Run to the letter by `pnpm check:packages`, for they need the network.
  "docs/how-to/guard-a-route.md": 2,
  // By a test beside the command line: packages/cli/src/cli-page-examples.test.ts.
  "docs/reference/cli.md": 2,
};

describe("the commands that the pages show", () => {
  it("are all run by some test", () => {
    const shown = PAGES.map((path) => [path, shellBlocks(readText(path)).length] as const);
    expect(Object.fromEntries(shown.filter(([, count]) => count > 0))).toEqual(KNOWN);
  });

  it("are held to it: one more is seen", () => {
    expect(shellBlocks(`${readText("README.md")}\n\`\`\`sh\nls\n\`\`\`\n`)).toHaveLength(3);
  });

  it("call the pnpm that package.json pins", () => {
    for (const path of PAGES) {
      for (const [named] of readText(path).matchAll(/pnpm@[\w.]+\w/g)) {
        expect(named, path).toBe(packageManager);
      }
    }
  });
});

describe("README's first command", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-demo-"));
  const flags = join(folder, "flags.env");
  copyFileSync(join(ROOT, "apps/chat-express/flags.env"), flags);
  afterAll(() => rmSync(folder, { recursive: true }));
  const [demo = ""] = shellBlocks(readText("README.md"));

  it("is the root script that builds the chat app and starts what it built", () => {
    expect(demo).toBe(`${PNPM} demo`);
    expect(sourceOf("demo")).toBe("apps/chat-express/src/main.ts");
    expect(() => sourceOf("lint")).toThrow("does not start what it builds");
  });

  it("starts a chat that a browser can open and a model answers, and ends when told", async () => {
    const running = runBlock(demo, { PORT: "0", SLUICE_FLAGS_FILE: flags });
    try {
      const url = await running.printed(/http:\/\/127\.0\.0\.1:\d+$/m);
      const page = await fetch(url);
      expect(page.headers.get("content-type")).toContain("text/html");
      const answer = await fetch(`${url}/api/chat`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }),
      });
      expect(answer.headers.get("sluice-path")).toBe("ai");
      expect(await answer.json()).toMatchObject({ status: "OK" });
    } finally {
      await running.stop();
    }
    expect(await running.ended).toBe(0);
  }, 30_000);
});

describe("README's second command", () => {
  const [, test = ""] = shellBlocks(readText("README.md"));
  const run = readText(".ci/run");

  it("is the one that the checks of a pull request begin with", () => {
    expect(test).toBe(`${PNPM} test`);
    expect(checkedScripts(run)[0]).toBe("test");
    expect(scripts["test"]).toBe("vitest run");
  });

  it("is held to it: another pnpm or another first check is a fault", () => {
    expect(() => checkedScripts(plant(run, packageManager, "pnpm@9.0.0"))).toThrow("pnpm@9.0.0");
    expect(checkedScripts(plant(run, '@]}" test\n', '@]}" lint\n'))[0]).toBe("lint");
  });
});

describe("the batch of slotgen's page", () => {
  const text = readText("apps/slot-generation/README.md");
  const [command = ""] = shellBlocks(text);

  it("ends and prints as the page shows", async () => {
    const running = runBlock(command);
    expect(await running.ended).toBe(5);
    const shown = readPage(text).blocks.find(({ language }) => language === "")?.text ?? "";
    expect(checkPrinted(running, shown)).toEqual([]);
    expect(checkPrinted(running, plant(shown, "45 slots made", "46 slots made"))).toHaveLength(2);
  }, 30_000);
});

function checkPrinted(
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
  shown: string,
): string[] {
  const summary = withoutChance(stdout);
  const page = withoutChance(shown);
  return [
    ...page
      .filter((line) => !summary.includes(line) && !withoutChance(stderr).includes(line))
      .map((line) => `not printed: ${line}`),
    // A slow machine tells of its progress on stderr besides.
    ...summary.filter((line) => !page.includes(line)).map((line) => `not shown: ${line}`),
  ];
}

/** The lines that were printed, but for ports and times. */
function withoutChance(printed: string): readonly string[] {
  return printed
    .split("\n")
    .map((line) =>
      line
        .replace(/:\d{4,5}\b/, ":PORT")
        .replace(/\b\d+\.\d s$/, "SECONDS")
        .trim(),
    )
    .filter((line) => line !== "");
}

describe("the table of commands in CONTRIBUTING", () => {
  const table = readPage(readText("CONTRIBUTING.md")).tables.find(({ columns }) =>
    columns.includes("command"),
  );
  const commands = table?.rows.flatMap((row) => codesIn(row("command"))) ?? [];
  const named = commands
    .map((command) => /^(?:npx -y )?pnpm(?:@[\w.]+)? (\S+)$/.exec(command)?.[1])
    .filter((script) => script !== undefined);

  it("names root scripts and a program", () => {
    expect(named.length).toBeGreaterThan(5);
    for (const script of named) expect(scripts, script).toHaveProperty([script]);
    const others = commands.filter((command) => !/pnpm/.test(command));
    expect(others).toEqual([".ci/run"]);
    expect(() => accessSync(join(ROOT, ".ci/run"), constants.X_OK)).not.toThrow();
  });

  it("names every root script but those of the maintainers", () => {
    const left = Object.keys(scripts).filter((script) => !named.includes(script));
    expect(left).toEqual(["format:check", "changeset"]);
    expect(readText("CONTRIBUTING.md")).toContain("`pnpm changeset`");
  });

  it("says of `.ci/run` that it runs all of the checks, and it does", () => {
    expect(new Set(checkedScripts(readText(".ci/run")))).toEqual(
      new Set(["test", "lint", "format:check", "typecheck", "knip", "build", "check:packages"]),
    );
  });
});
