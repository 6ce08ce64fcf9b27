import { fileURLToPath } from "node:url";
import {
  chatCompletion,
  postgresAnswers,
  postgresForTests,
  runPsql,
  sendJson,
  startProcess,
  startUpstream,
  type RunningProcess,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { FlagState } from "./flag-state.ts";
import type { RecentFigures } from "./recent-figures.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

const chat = (url: string): Promise<Response> =>
  fetch(`${url}/api/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "a secret of mine" }] }),
  });

async function start(
  connectionString: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{
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
      ...env,
    },
  });
  onTestFinished(async () => void (await app.kill()));
  const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
  const path = async (): Promise<string | null> => {
    const response = await chat(url);
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

    expect(await path()).toBe("legacy");
    runPsql(
      connectionString,
      "UPDATE feature_state SET enabled = true, rollout_percent = 100 WHERE feature_name = 'chat_ai'",
    );
    await untilPath("ai");
    runPsql(
      connectionString,
      "UPDATE feature_state SET enabled = false, rollout_percent = 0 WHERE feature_name = 'chat_ai'",
    );
    await untilPath("legacy");
  });

  it("writes the kill of its page into the table, where every process sees it", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { url, untilPath } = await start(connectionString);
    runPsql(connectionString, "UPDATE feature_state SET enabled = true, rollout_percent = 100");
    await untilPath("ai");

    expect((await fetch(`${url}/api/kill`, { method: "POST" })).status).toBe(200);
    expect(runPsql(connectionString, "SELECT killed FROM feature_state")).toBe("t");
    await untilPath("legacy");
    expect((await fetch(`${url}/api/restore`, { method: "POST" })).status).toBe(200);
    await untilPath("ai");
  });

  it("records each outcome, and no word of what was said", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { app, untilPath } = await start(connectionString);
    runPsql(connectionString, "UPDATE feature_state SET enabled = true, rollout_percent = 100");
    await untilPath("ai");

    app.signal("SIGTERM");
    await app.ended;
    const rows = runPsql(
      connectionString,
      "SELECT count(*) > 0 FROM ai_training_examples WHERE outcome = 'SUCCEEDED' AND selected_provider = 'openai'",
    );
    expect(rows).toBe("t");
    const text = runPsql(
      connectionString,
      "SELECT string_agg(t::text, ' ') FROM ai_training_examples t",
    );
    expect(text).not.toMatch(/secret|from the model/);
  });

  it("writes the window that is not over on SIGTERM: outcomes, and statuses of what was refused too", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { app, url, untilPath } = await start(connectionString);
    runPsql(connectionString, "UPDATE feature_state SET enabled = true, rollout_percent = 100");
    await untilPath("ai");
    expect((await fetch(`${url}/api/chat`, { method: "POST", body: "{" })).status).toBe(415);

    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
    const total = (arm: string, column: string, key: string): string =>
      runPsql(
        connectionString,
        `SELECT sum((${column} ->> '${key}')::int) FROM metric_windows WHERE feature = 'chat_ai' AND arm = '${arm}'`,
      );
    expect(Number(total("ai", "outcomes", "SUCCEEDED"))).toBeGreaterThan(0);
    expect(total("none", "http", "415")).toBe("1");
    expect(runPsql(connectionString, "SELECT count(*) FROM sluice_instances")).toBe("0");
    expect(app.stderr).toBe("");
  });

  it("takes its route from the table, live, and from the rows of its own environment", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { url, path, untilPath } = await start(connectionString, {
      SLUICE_ENVIRONMENT: "test",
      OPENAI_API_KEY: "",
    });
    runPsql(
      connectionString,
      `UPDATE feature_state SET enabled = true, rollout_percent = 100;
       INSERT INTO ai_provider_configs (environment, provider, is_default)
       VALUES ('test', 'custom', true), ('test', 'openai', false)`,
    );
    await untilPath("ai");
    const answeredBy = async (): Promise<unknown> => {
      const decision = (await chat(url)).headers.get("sluice-decision");
      const note = await (await fetch(`${url}/api/decisions/${decision}`)).json();
      return (note as { provider: unknown }).provider;
    };
    await vi.waitFor(async () => expect(await answeredBy()).toBe("custom"), { timeout: 4000 });

    runPsql(
      connectionString,
      "UPDATE ai_provider_configs SET enabled = false WHERE environment = 'test' AND provider = 'custom'",
    );
    await vi.waitFor(async () => expect(await answeredBy()).toBe("openai"), { timeout: 4000 });
    runPsql(connectionString, "UPDATE ai_provider_configs SET enabled = false");
    await untilPath("legacy");
    expect(await path()).toBe("legacy");
  });

  it("obeys the route that stands in the table from its first call on", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const before = await start(connectionString);
    runPsql(
      connectionString,
      `UPDATE feature_state SET enabled = true, rollout_percent = 100;
       UPDATE ai_provider_configs SET enabled = false`,
    );
    await before.app.kill();
    const { path } = await start(connectionString);
    expect(await path()).toBe("legacy");
  });

  it("tells its page how each arm and provider of the whole fleet did, and nobody else's", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { url } = await start(connectionString);
    const figures = async (): Promise<RecentFigures> =>
      (await (await fetch(`${url}/api/figures`)).json()) as RecentFigures;
    expect(await figures()).toMatchObject({ minutes: 10, arms: [] });
    runPsql(
      connectionString,
      `INSERT INTO metric_windows
        (window_start, feature, arm, provider, instance_id, outcomes, http, admission, latency_ms)
       SELECT to_timestamp(floor(extract(epoch FROM now()) / 10) * 10 - 60), feature, arm, provider, instance,
         outcomes::jsonb, http::jsonb, admission::jsonb, latency::jsonb
       FROM (VALUES
         ('chat_ai', 'ai', 'openai', 'a', '{"SUCCEEDED": 50}', '{"200": 50}', '{"allow": 50}', '{"p231": 50}'),
         ('chat_ai', 'ai', 'openai', 'b', '{"SUCCEEDED": 25, "FAILED": 25}', '{"200": 25, "502": 25}',
           '{"allow": 40, "would_reject.MESSAGE_RATE": 10}', '{"p231": 40, "p381": 10}'),
         ('chat_ai', 'stub', '', 'a', '{"STUBBED": 2}', '{"200": 2}', '{}', '{"z": 2}'),
         ('chat_ai', 'none', '', 'a', '{"REJECTED": 1}', '{"400": 3, "429": 1}', '{"reject.MESSAGE_RATE": 1}', '{}'),
         ('other', 'ai', 'openai', 'a', '{"FAILED": 99}', '{"500": 99}', '{}', '{"p500": 99}')
       ) AS rows (feature, arm, provider, instance, outcomes, http, admission, latency)`,
    );
    const { arms } = await figures();
    expect(arms.map(({ arm, provider }) => [arm, provider])).toEqual([
      ["ai", "openai"],
      ["none", ""],
      ["stub", ""],
    ]);
    const [ai, none, stub] = arms;
    expect(ai).toMatchObject({
      requests: 100,
      succeededShare: 0.75,
      outcomes: { SUCCEEDED: 75, FAILED: 25 },
      http: { 200: 75, 502: 25 },
      admission: { allow: 90, "would_reject.MESSAGE_RATE": 10 },
    });
    // 90 of 100 ms and 10 of 2000 ms, as the buckets hold them.
    expect(Math.abs(Number(ai?.p50Ms) / 100 - 1)).toBeLessThanOrEqual(0.011);
    expect(Math.abs(Number(ai?.p95Ms) / 2000 - 1)).toBeLessThanOrEqual(0.011);
    expect(none).toMatchObject({ requests: 4, succeededShare: null, p50Ms: null, p95Ms: null });
    expect(stub).toMatchObject({ requests: 2, succeededShare: null, p50Ms: 0 });
  });

  it("tells its page what the flag says, and which processes have heard of it", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { url, untilPath } = await start(connectionString);
    const other = await start(connectionString);
    const read = async <Body>(path: string): Promise<Body> =>
      (await (await fetch(`${url}/api/${path}`)).json()) as Body;
    const flag = async () => (await read<{ readonly flag: FlagState }>("state")).flag;
    expect(await flag()).toMatchObject({
      enabled: false,
      version: 1,
      listed: null,
      origin: "the table feature_state (DATABASE_URL)",
      isConfirmed: true,
      trouble: null,
    });
    runPsql(
      connectionString,
      "UPDATE feature_state SET enabled = true, rollout_percent = 5, allowlist = '{ann,bob}'",
    );
    await vi.waitFor(async () =>
      expect(await flag()).toMatchObject({ enabled: true, percent: 5, listed: 2, version: 2 }),
    );
    expect(JSON.stringify(await flag())).not.toContain("ann");
    expect((await flag()).ageMs).toBeLessThan(5000);
    await vi.waitFor(async () => {
      const { fleet } = await read<RecentFigures>("figures");
      expect(fleet).toMatchObject({ version: 2, alive: 2, applied: 2 });
      expect(fleet?.slowestMs).toBeLessThan(5000);
    });
    // A process that hears no more is behind.
    other.app.signal("SIGSTOP");
    runPsql(connectionString, "UPDATE feature_state SET rollout_percent = 100, allowlist = NULL");
    await untilPath("ai");
    await vi.waitFor(async () => {
      const { fleet } = await read<RecentFigures>("figures");
      expect(fleet).toMatchObject({ version: 3, alive: 2, applied: 1 });
    });
  });

  it("starts with the database away, says so in one line without its address, and serves the safe path", async () => {
    const { app, path } = await start("postgresql://postgres:hunter2@127.0.0.1:9/none");
    expect(await path()).toBe("legacy");
    expect(await path()).toBe("legacy");
    await app.printed(/ECONNREFUSED/);
    const lines = `${app.stdout}${app.stderr}`
      .split("\n")
      .filter((line) => line.startsWith("DATABASE_URL"));
    expect(lines).toHaveLength(1);
    expect(`${app.stdout}${app.stderr}`).not.toContain("hunter2");
  });
});
