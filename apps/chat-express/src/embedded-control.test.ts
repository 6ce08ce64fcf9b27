import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findPglite, pglite, postgres } from "@sluice/sql";
import { startProcess, type RunningProcess } from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

async function newFolder(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "sluice-embedded-"));
  onTestFinished(() => rm(parent, { recursive: true }));
  return join(parent, "data");
}

function start(folder: string, env: Readonly<Record<string, string>> = {}): RunningProcess {
  const app = startProcess(main, {
    env: { PORT: "0", SLUICE_FOLDER: folder, FF_CHAT_GATEWAY_ENABLED: "true", ...env },
  });
  onTestFinished(async () => void (await app.kill()));
  return app;
}

async function urlOf(app: RunningProcess): Promise<string> {
  const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
  return url;
}

async function pathOf(url: string): Promise<string | null> {
  const response = await fetch(`${url}/api/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }),
  });
  expect(response.status).toBe(200);
  return response.headers.get("sluice-path");
}

const untilPath = (url: string, path: string): Promise<void> =>
  vi.waitFor(async () => expect(await pathOf(url)).toBe(path), { interval: 10, timeout: 4000 });

/** As psql and sluice come in. */
async function runInside(folder: string, statement: string): Promise<void> {
  const found = findPglite(folder);
  if (found.state !== "served") throw new Error(found.state);
  const db = postgres({ connectionString: found.connectionString });
  await db.query(statement);
  await db.close();
}

const open =
  "UPDATE feature_state SET enabled = true, rollout_percent = 100 WHERE feature_name = 'chat_ai'";

describe("the app with its database in a folder", { timeout: 60_000 }, () => {
  it("lets other processes in, obeys them at once, and keeps what was written when it ended", async () => {
    const folder = await newFolder();
    const app = start(folder);
    const url = await urlOf(app);
    expect(await pathOf(url)).toBe("legacy");
    await runInside(folder, open);
    await untilPath(url, "ai");
    expect((await fetch(`${url}/api/kill`, { method: "POST" })).status).toBe(200);
    expect(await pathOf(url)).toBe("legacy");

    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
    expect(app.stderr).not.toMatch(/SLUICE_FOLDER|metric_windows|sluice_instances/);
    const db = pglite({ folder });
    onTestFinished(() => db.close());
    const { rows } = await db.query(
      `SELECT (SELECT killed FROM feature_state) AS killed,
        (SELECT sum((outcomes ->> 'SUCCEEDED')::int) > 0 FROM metric_windows) AS counted,
        (SELECT count(*) > 0 FROM ai_training_examples WHERE outcome = 'SUCCEEDED') AS recorded`,
    );
    expect(rows).toEqual([{ killed: true, counted: true, recorded: true }]);
  });

  it("is let go of in order where something else is refused: one line, code 2, the folder free", async () => {
    const folder = await newFolder();
    const app = start(folder, { REDIS_URL: "redis://127.0.0.1:1" });
    expect(await app.ended).toEqual({ code: 2, signal: null });
    expect(app.stderr).toMatch(/^[^\n]*ADMISSION_SECRET[^\n]*\n$/);
    expect(findPglite(folder)).toEqual({ state: "free" });
  });

  it("refuses a folder that another process has, in one line, with code 2", async () => {
    const folder = await newFolder();
    await urlOf(start(folder));
    const second = start(folder);
    expect(await second.ended).toEqual({ code: 2, signal: null });
    expect(second.stderr).toMatch(/^[^\n]*a folder in use[^\n]*\n$/);
    expect(second.stdout).toBe("");
  });
});
