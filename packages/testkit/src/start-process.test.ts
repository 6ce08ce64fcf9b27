import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { startProcess, type StartProcessOptions } from "./start-process.ts";

async function run(source: string, options?: StartProcessOptions) {
  const folder = await mkdtemp(join(tmpdir(), "sluice-process-"));
  const script = join(folder, "script.mjs");
  await writeFile(script, source);
  const started = startProcess(script, options);
  onTestFinished(async () => {
    await started.kill();
    await rm(folder, { recursive: true });
  });
  return started;
}

describe("a process", { timeout: 15_000 }, () => {
  it("hands on what it prints, as soon as it is there, and how it ended", async () => {
    const started = await run(
      "process.on('SIGTERM', () => process.exit(3)); console.error('warn'); console.log('at 7'); setInterval(() => {}, 1000);",
    );
    expect(await started.printed(/at (\d)/)).toMatchObject({ 1: "7" });
    await started.printed(/warn/);
    started.signal("SIGTERM");
    expect(await started.ended).toEqual({ code: 3, signal: null });
    expect([started.stdout, started.stderr]).toEqual(["at 7\n", "warn\n"]);
  });

  it("that ends without what was waited for says so, with what it complained of", async () => {
    const started = await run("console.error('no luck')");
    await expect(started.printed(/ready/)).rejects.toThrow("no luck");
    expect(await started.ended).toEqual({ code: 0, signal: null });
  });

  it("has its arguments, its environment and nothing of the test's own", async () => {
    const source =
      "console.log(JSON.stringify([process.argv.slice(2), process.env.A, process.env.VITEST]))";
    const started = await run(source, { args: ["x", "y z"], env: { A: "1" } });
    await started.ended;
    expect(JSON.parse(started.stdout)).toEqual([["x", "y z"], "1", null]);
  });

  it("that hangs is ended at once", async () => {
    const started = await run("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);");
    expect(await started.kill()).toEqual({ code: null, signal: "SIGKILL" });
  });
});
