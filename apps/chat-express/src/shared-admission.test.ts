import { fileURLToPath } from "node:url";
import {
  chatCompletion,
  lacksRedisServer,
  privateRedis,
  sendJson,
  startProcess,
  startUpstream,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

async function start(env: Readonly<Record<string, string>>) {
  const upstream = await startUpstream((res) => sendJson(res, chatCompletion("from the model")));
  onTestFinished(() => upstream.close());
  const app = startProcess(main, {
    env: {
      PORT: "0",
      ADMISSION_SECRET: "a secret of the tests",
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${upstream.url}/v1`,
      ...env,
    },
  });
  onTestFinished(async () => void (await app.kill()));
  const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
  const ask = (): Promise<Response> =>
    fetch(`${url}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "hello" }] }),
    });
  return { app, ask };
}

describe.skipIf(lacksRedisServer())("the app on Redis", { timeout: 20_000 }, () => {
  it("counts there, serves on while it is away, and says so in one line", async () => {
    const redis = await privateRedis();
    onTestFinished(() => redis.remove());
    const { app, ask } = await start({ REDIS_URL: redis.url });
    await vi.waitFor(
      async () => {
        expect((await ask()).status).toBe(200);
        expect(await redis.cli("keys", "{adm:chat-express:0}:msg")).not.toBe("");
      },
      { timeout: 5000 },
    );
    await redis.stop();
    for (let n = 0; n < 5; n += 1) expect((await ask()).status).toBe(200);
    await app.printed(/REDIS_URL: Redis is lost/);
    expect(app.stderr.match(/REDIS_URL/g)).toHaveLength(1);
  });

  it("needs a secret beside the address", async () => {
    const app = startProcess(main, {
      env: { PORT: "0", OPENAI_API_KEY: "sk-test", REDIS_URL: "redis://127.0.0.1:1" },
    });
    expect(await app.ended).toMatchObject({ code: 2 });
    expect(app.stderr).toMatch(/^[^\n]*ADMISSION_SECRET[^\n]*\n$/);
  });
});
