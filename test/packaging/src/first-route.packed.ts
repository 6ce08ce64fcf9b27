import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, runOrThrow } from "./run-command.ts";

const folder = await mkdtemp(join(tmpdir(), "sluice-newcomer-"));
const app = join(folder, "app");

async function blocksOf(path: string, language: string): Promise<string[]> {
  const page = await readFile(join(ROOT, path), "utf8");
  const blocks = page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"));
  return [...blocks].map(([, text = ""]) => text.replaceAll("/tmp/sluice", join(folder, "sluice")));
}

afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("what the pages tell a newcomer to do, done to the letter", () => {
  beforeAll(async () => {
    const [pack = "", install = ""] = await blocksOf("docs/how-to/guard-a-route.md", "sh");
    const [program = ""] = await blocksOf("README.md", "ts");
    await runOrThrow("bash", ["-e", "-c", pack], ROOT);
    await mkdir(app);
    await writeFile(join(app, "package.json"), `{ "private": true, "type": "module" }`);
    await runOrThrow("bash", ["-e", "-c", install], app);
    await writeFile(join(app, "first-route.ts"), program);
    await writeFile(
      join(app, "serve.ts"),
      `import { app } from "./first-route.ts";
       const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));`,
    );
  });

  test("gives a guarded route that serves the safe path", async () => {
    const env = { PATH: `${ROOT}/node_modules/.bin:${process.env["PATH"] ?? ""}` };
    const child = spawn("node", ["serve.ts"], {
      cwd: app,
      env,
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const [port] = (await once(child.stdout, "data")) as [Buffer];
      const answer = await fetch(`http://127.0.0.1:${port.toString().trim()}/api/faq`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ text: "Where is the key?" }),
      });
      expect(answer.headers.get("sluice-path")).toBe("stub");
      expect(await answer.json()).toMatchObject({ status: "OK" });
    } finally {
      child.kill();
      await once(child, "close");
    }
  });
});
