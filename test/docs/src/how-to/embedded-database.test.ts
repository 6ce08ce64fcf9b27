import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProcess } from "@sluice/testkit";
import { expect, it, onTestFinished } from "vitest";

it("the page's set-up reads flags from its folder, lets other processes in, and ends", async () => {
  const cwd = await mkdtemp(join(tmpdir(), "sluice-embedded-"));
  onTestFinished(() => rm(cwd, { recursive: true }));
  const program = fileURLToPath(new URL("embedded-database-app.ts", import.meta.url));
  const app = startProcess(program, { cwd });
  onTestFinished(async () => void (await app.kill()));
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(JSON.parse(app.stdout)).toMatchObject({ confirmed: true, found: { state: "served" } });
  expect(app.stderr).toBe("");
}, 120_000);
