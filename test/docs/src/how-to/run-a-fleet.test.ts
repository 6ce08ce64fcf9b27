import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { migrate, postgres } from "@sluice/sql";
import {
  chatCompletion,
  freePort,
  lacksRedisServer,
  postgresAnswers,
  postgresForTests,
  privateRedis,
  sendJson,
  startProcess,
  startUpstream,
  type UpstreamAnswer,
} from "@sluice/testkit";
import { expect, it, onTestFinished, vi } from "vitest";

const skipped = lacksRedisServer() || (process.env["CI"] !== "true" && !postgresAnswers());
const program = fileURLToPath(new URL("run-a-fleet.ts", import.meta.url));
const answer = JSON.stringify({ status: "OK", reply: "At nine." });
const patiently = { timeout: 60_000 };

async function upstreamThat(answers: UpstreamAnswer) {
  const upstream = await startUpstream(answers);
  onTestFinished(() => upstream.close());
  return `${upstream.url}/v1`;
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function migrated() {
  const database = postgresForTests();
  onTestFinished(() => database.drop());
  const db = postgres({ connectionString: database.connectionString });
  onTestFinished(() => db.close());
  await migrate(db);
  await db.query(
    "INSERT INTO feature_state (feature_name, enabled, rollout_percent) VALUES ('faq_ai', false, 0)",
  );
  await db.query("UPDATE feature_state SET enabled = true, rollout_percent = 100");
  return { db, connectionString: database.connectionString };
}

/** The page's program, once it listens. */
async function started(env: Readonly<Record<string, string>>) {
  const port = await freePort();
  const app = startProcess(program, {
    env: {
      ADMISSION_SECRET: "sixteen characters",
      OPENAI_API_KEY: "sk-test",
      PORT: String(port),
      ...env,
    },
  });
  onTestFinished(async () => void (await app.kill()));
  await app.printed(/^listening$/m);
  const ask = async (): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/faq`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: "When do you open?" }),
    });
    return { path: response.headers.get("sluice-path"), body: (await response.json()) as unknown };
  };
  return { app, ask, port };
}

it.skipIf(skipped)(
  "answers, counts in the database and in Redis, and at SIGTERM finishes what is under way, writes it and ends",
  patiently,
  async () => {
    const { db, connectionString } = await migrated();
    const redis = await privateRedis();
    onTestFinished(() => redis.remove());
    const asked = Promise.withResolvers<void>();
    const mayAnswer = Promise.withResolvers<void>();
    let calls = 0;
    const baseUrl = await upstreamThat((res) => {
      calls += 1;
      const reply = () => sendJson(res, chatCompletion(answer));
      if (calls === 1) return reply();
      asked.resolve();
      return void mayAnswer.promise.then(reply);
    });
    const { app, ask, port } = await started({
      DATABASE_URL: connectionString,
      REDIS_URL: redis.url,
      OPENAI_BASE_URL: baseUrl,
    });
    const byModel = { path: "ai", body: JSON.parse(answer) as unknown };

    expect(await ask()).toEqual(byModel);
    const { rows: instances } = await db.query<{ id: string }>(
      "SELECT instance_id AS id FROM sluice_instances",
    );
    const { id } = instances[0] ?? { id: "" };
    expect(instances).toHaveLength(1);
    expect(await redis.cli("zrange", "{adm:faq:0}:processes", "0", "-1")).toContain(id);

    const underWay = ask();
    await asked.promise;
    app.signal("SIGTERM");
    await vi.waitFor(() => expect(takesConnections(port)).resolves.toBe(false), patiently);
    mayAnswer.resolve();
    expect(await underWay).toEqual(byModel);
    expect(await app.ended).toEqual({ code: 0, signal: null });
    expect(app.stderr).toBe("");

    const { rows } = await db.query(
      "SELECT outcome, count(*)::integer AS n FROM ai_training_examples GROUP BY outcome",
    );
    expect(rows).toEqual([{ outcome: "SUCCEEDED", n: 2 }]);
    const { rows: counted } = await db.query(
      "SELECT instance_id AS id, sum((http ->> '200')::integer)::integer AS n FROM metric_windows GROUP BY 1",
    );
    expect(counted).toEqual([{ id, n: 2 }]);
    const { rows: left } = await db.query("SELECT 1 FROM sluice_instances");
    expect(left).toEqual([]);
    expect(await redis.cli("zcard", "{adm:faq:0}:in")).toBe("0");
  },
);

it("starts while the database and Redis are away: the stub answers, and SIGTERM ends it", {
  timeout: 60_000,
}, async () => {
  // Nothing listens on the port of the discard protocol.
  const { app, ask } = await started({
    DATABASE_URL: "postgresql://postgres@127.0.0.1:9/faq",
    REDIS_URL: "redis://127.0.0.1:9",
  });
  expect(await ask()).toEqual({
    path: "stub",
    body: { status: "OK", reply: "A person will answer you today." },
  });
  app.signal("SIGTERM");
  expect(await app.ended).toEqual({ code: 0, signal: null });
});
