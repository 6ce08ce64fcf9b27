import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  chatCompletion,
  postgresAnswers,
  postgresForTests,
  sendJson,
  startProcess,
  startUpstream,
  type RunningProcess,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** As an operator has it: psql, and nothing of ours. */
function psql(connectionString: string, statement: string): string {
  const { status, stdout, stderr } = spawnSync(
    "psql",
    ["--no-psqlrc", "-At", "-v", "ON_ERROR_STOP=1", "-d", connectionString, "-c", statement],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
}

async function start(connectionString: string): Promise<{
  readonly app: RunningProcess;
  readonly url: string;
  readonly path: () => Promise<string | null>;
  readonly untilPath: (path: string) => Promise<void>;
}> {
  const upstream = await startUpstream((res) => sendJson(res, chatCompletion("from the model")));
  onTestFinished(() => upstream.close());
  const app = startProcess(main, {
    env: {
      PORT: "0",
      DATABASE_URL: connectionString,
      FF_CHAT_GATEWAY_ENABLED: "true",
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${upstream.url}/v1`,
    },
  });
  onTestFinished(async () => void (await app.kill()));
  const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
  const path = async (): Promise<string | null> => {
    const response = await fetch(`${url}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "a secret of mine" }] }),
    });
    expect(response.status).toBe(200);
    return response.headers.get("sluice-path");
  };
  return {
    app,
    url,
    path,
    untilPath: (wanted) =>
      vi.waitFor(async () => expect(await path()).toBe(wanted), { interval: 10, timeout: 4000 }),
  };
}

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `the app on PostgreSQL${skipped ? " (skipped: no server answers psql)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 20_000 }, () => {
  it("is opened and shut by one UPDATE from psql, with no error and no restart", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { path, untilPath } = await start(connectionString);

    expect(await path()).toBe("stub");
    psql(
      connectionString,
      "UPDATE feature_state SET enabled = true, rollout_percent = 100 WHERE feature_name = 'chat_ai'",
    );
    await untilPath("ai");
    psql(
      connectionString,
      "UPDATE feature_state SET enabled = false, rollout_percent = 0 WHERE feature_name = 'chat_ai'",
    );
    await untilPath("stub");
  });

  it("writes the kill of its page into the table, where every process sees it", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { url, untilPath } = await start(connectionString);
    psql(connectionString, "UPDATE feature_state SET enabled = true, rollout_percent = 100");
    await untilPath("ai");

    expect((await fetch(`${url}/api/kill`, { method: "POST" })).status).toBe(200);
    expect(psql(connectionString, "SELECT killed FROM feature_state")).toBe("t");
    await untilPath("stub");
    expect((await fetch(`${url}/api/restore`, { method: "POST" })).status).toBe(200);
    await untilPath("ai");
  });

  it("records each outcome, and no word of what was said", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { app, untilPath } = await start(connectionString);
    psql(connectionString, "UPDATE feature_state SET enabled = true, rollout_percent = 100");
    await untilPath("ai");

    app.signal("SIGTERM");
    await app.ended;
    const rows = psql(
      connectionString,
      "SELECT count(*) > 0 FROM ai_training_examples WHERE outcome = 'SUCCEEDED' AND selected_provider = 'openai'",
    );
    expect(rows).toBe("t");
    const text = psql(
      connectionString,
      "SELECT string_agg(t::text, ' ') FROM ai_training_examples t",
    );
    expect(text).not.toMatch(/secret|from the model/);
  });

  it("starts with the database away, says so in one line without its address, and serves the safe path", async () => {
    const { app, path } = await start("postgresql://postgres:hunter2@127.0.0.1:9/none");
    expect(await path()).toBe("stub");
    expect(await path()).toBe("stub");
    const lines = `${app.stdout}${app.stderr}`
      .split("\n")
      .filter((line) => line.startsWith("DATABASE_URL"));
    expect(lines).toHaveLength(1);
    expect(`${app.stdout}${app.stderr}`).not.toContain("hunter2");
  });
});
