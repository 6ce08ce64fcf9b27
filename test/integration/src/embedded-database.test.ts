import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, type ExitCode } from "@sluice/cli";
import { findPglite, postgres } from "@sluice/sql";
import { startProcess, type RunningProcess } from "@sluice/testkit";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";

const app = fileURLToPath(new URL("embedded-app.ts", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "sluice-embedded-"));
afterAll(() => rmSync(scratch, { recursive: true }));

async function sluice(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: ExitCode; readonly out: string; readonly err: string }> {
  let out = "";
  let err = "";
  const code = await run({
    argv,
    env,
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTty: false,
    open: (options) => postgres({ ...options, applicationName: "sluice-cli" }),
  });
  return { code, out, err };
}

describe("the embedded database of a running app", { timeout: 120_000 }, () => {
  let folder: string;
  let running: RunningProcess | undefined;
  let count = 0;

  const start = async (way?: "alone"): Promise<RunningProcess> => {
    const started = startProcess(app, { args: [folder, ...(way === undefined ? [] : [way])] });
    running = started;
    await started.printed(/^SUCCEEDED$/m);
    return started;
  };
  beforeEach(() => {
    count += 1;
    folder = join(scratch, `folder-${count}`);
  });
  afterEach(async () => {
    await running?.kill();
    running = undefined;
  });

  it("is killed by sluice from another process, heard at once, and watched by doctor", async () => {
    const served = await start();
    const killed = await sluice(["kill", "sample_ai", "--folder", folder, "--reason", "it lies"]);
    expect(killed).toMatchObject({ code: 0, err: "" });
    expect(killed.out).toMatch(/^1 of 1 processes applied version \d+ in \d+ ms$/m);
    await served.printed(/^STUBBED$/m);

    const env = { SLUICE_FOLDER: folder };
    expect(await sluice(["doctor"], env)).toMatchObject({ code: 0 });
    expect((await sluice(["doctor"], env)).out).toMatch(/^listen +yes +/m);
    expect((await sluice(["audit", "tail", "--json"], env)).out).toContain("sluice-cli");
    expect(await sluice(["audit", "verify"], env)).toMatchObject({ code: 0 });
    expect(await sluice(["restore", "sample_ai", "--yes"], env)).toMatchObject({ code: 0 });
    await served.printed(/STUBBED\nSUCCEEDED/);
    expect(await sluice(["migrate"], env)).toMatchObject({ code: 0, out: "up to date\n" });
    expect(served.stderr).toBe("");
  });

  it("is shut by the bare UPDATE in psql", async () => {
    const served = await start();
    const found = findPglite(folder);
    if (found.state !== "served") throw new Error(found.state);
    const { status, stderr } = spawnSync(
      "psql",
      [
        "--no-psqlrc",
        "-c",
        "UPDATE feature_state SET enabled = false, rollout_percent = 0 WHERE feature_name = 'sample_ai'",
        found.connectionString,
      ],
      { encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    await served.printed(/^STUBBED$/m);
  });

  it("is opened by sluice itself once the app was killed, and never shows its token", async () => {
    const served = await start();
    const address = JSON.parse(readFileSync(join(folder, "sluice-socket"), "utf8")) as {
      token: string;
    };
    await served.kill();
    expect(findPglite(folder)).toEqual({ state: "free" });
    // The app's heartbeat is still young, so a kill would wait for it.
    const argv = ["kill", "sample_ai", "--wait-ms", "0", "--folder", folder];
    const killed = await sluice(argv);
    expect(killed).toMatchObject({ code: 0, err: "" });
    expect(killed.out).toMatch(/^sample_ai +killed/m);
    expect(await sluice(["flags", "get", "nothing", "--folder", folder])).toMatchObject({
      code: 4,
    });
    expect(JSON.stringify(killed)).not.toContain(address.token);
  });

  it("without a socket is out of reach, in one line that says what to set", async () => {
    await start("alone");
    const refused = await sluice(["kill", "sample_ai", "--folder", folder]);
    expect(refused).toMatchObject({ code: 3, out: "" });
    expect(refused.err).toMatch(/^sluice: .*without a socket.*\n$/);
  });

  it("that is none is made by migrate alone; two databases are one too many", async () => {
    for (const argv of [["flags", "list"], ["doctor"], ["kill", "f"]]) {
      const missing = await sluice([...argv, "--folder", folder]);
      expect(missing).toMatchObject({ code: 4, out: "" });
      expect(missing.err).toMatch(/no embedded database in the folder/);
    }
    const made = await sluice(["migrate", "--folder", folder]);
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(made.out).toContain("applied 0001_flags.sql\n");
    const argv = ["flags", "list", "--folder", folder];
    expect(await sluice(argv, { DATABASE_URL: "postgresql://127.0.0.1:1/x" })).toMatchObject({
      code: 0,
    });
    const both = await sluice([
      ...argv,
      "--database-url",
      "postgresql://me:pa55word@127.0.0.1:1/x",
    ]);
    expect(both).toMatchObject({ code: 2, out: "" });
    expect(both.err).not.toContain("pa55word");
    const variables = { DATABASE_URL: "postgresql://127.0.0.1:1/x", SLUICE_FOLDER: folder };
    expect(await sluice(["flags", "list"], variables)).toMatchObject({ code: 2 });
  });
});
