import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  chatCompletion,
  sendJson,
  startProcess,
  startUpstream,
  type RunningProcess,
  type UpstreamAnswer,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const on = "FF_CHAT_GATEWAY_ENABLED=true\nFEATURE_CHAT_AI=true\n";
const good: UpstreamAnswer = (res) => sendJson(res, chatCompletion("from the model"));

async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-main-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function upstreamThat(answer: UpstreamAnswer) {
  const upstream = await startUpstream(answer);
  onTestFinished(() => upstream.close());
  return upstream;
}

function start(env: Readonly<Record<string, string>>): RunningProcess {
  const started = startProcess(main, { env: { PORT: "0", ...env } });
  onTestFinished(async () => void (await started.kill()));
  return started;
}

async function urlOf(app: RunningProcess): Promise<string> {
  const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
  return url;
}

const chat = (url: string): Promise<Response> =>
  fetch(`${url}/api/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }),
  });

const untilPath = (url: string, path: string): Promise<void> =>
  vi.waitFor(async () => expect((await chat(url)).headers.get("sluice-path")).toBe(path), {
    interval: 20,
    timeout: 4000,
  });

const lines = (text: string): readonly string[] => text.split("\n").filter((line) => line !== "");

describe("the app", { timeout: 15_000 }, () => {
  it("without a key answers by a stand-in of its own, says so, and ends on SIGTERM", async () => {
    const app = start({});
    const url = await urlOf(app);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(app.stdout).toMatch(/^No OPENAI_API_KEY: a local stand-in for OpenAI answers at http/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    // The shipped flags file, which may have been touched just now.
    await untilPath(url, "ai");
    expect(await (await chat(url)).json()).toMatchObject({ status: "OK" });
    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
    expect(app.stderr).toBe("");
  });

  it.each([
    ["PORT", { PORT: "http" }],
    ["PORT", { PORT: "99999" }],
    ["CHAT_AI_TIMEOUT_MS", { CHAT_AI_TIMEOUT_MS: "soon" }],
    ["OPENAI_MODEL", { OPENAI_MODEL: "m".repeat(300) }],
    ["SLUICE_PROBE_TOKEN", { SLUICE_PROBE_TOKEN: "too-short" }],
    ["SLUICE_ENVIRONMENT", { SLUICE_ENVIRONMENT: "two\nlines" }],
    // Two databases are one too many.
    [
      "SLUICE_FOLDER",
      { SLUICE_FOLDER: "/tmp/any", DATABASE_URL: "postgresql://me:too-short@127.0.0.1:9/x" },
    ],
  ])(
    "refuses a malformed %s in one line that names it, with code 2, case %#",
    async (name, env) => {
      const app = start(env);
      expect(await app.ended).toEqual({ code: 2, signal: null });
      expect(lines(app.stderr)).toHaveLength(1);
      expect(app.stderr).toContain(name);
      expect(app.stderr).not.toContain("too-short");
      expect(app.stdout).toBe("");
    },
  );

  it("refuses in one line, with code 2, also what it finds once its stand-ins run", async () => {
    const app = start({ REDIS_URL: "redis://127.0.0.1:1" });
    expect(await app.ended).toEqual({ code: 2, signal: null });
    expect(app.stdout).toContain("a local stand-in");
    expect(lines(app.stderr)).toEqual([expect.stringContaining("ADMISSION_SECRET")]);
  });

  it("refuses a port in use in one line, with code 1", async () => {
    const taken = createServer();
    const listening = Promise.withResolvers<void>();
    taken.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const app = start({ PORT: String(port) });
    expect(await app.ended).toEqual({ code: 1, signal: null });
    expect(lines(app.stderr)).toEqual([expect.stringContaining(String(port))]);
  });

  it("starts closed without its flags file, says which one is missing, and opens when it comes", async () => {
    const folder = await tempFolder();
    const upstream = await upstreamThat(good);
    const flagsFile = join(folder, "flags.env");
    const app = start({
      SLUICE_FLAGS_FILE: flagsFile,
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${upstream.url}/v1`,
    });
    const url = await urlOf(app);
    const response = await chat(url);
    expect(response.status).toBe(200);
    expect(response.headers.get("sluice-path")).toBeNull();
    await app.printed(/flagFile/);
    expect(upstream.requests).toHaveLength(0);
    await writeFile(`${flagsFile}.new`, on);
    await rename(`${flagsFile}.new`, flagsFile);
    await untilPath(url, "ai");
  });

  it("tells of a malformed flag or switch once, by its name", async () => {
    const folder = await tempFolder();
    const flagsFile = join(folder, "flags.env");
    await writeFile(flagsFile, `${on}CHAT_AI_KILL=off\nFF_CHAT_GATEWAY_SHADOW=maybe\n`);
    const app = start({ SLUICE_FLAGS_FILE: flagsFile });
    const url = await urlOf(app);
    for (let i = 0; i < 5; i += 1) expect((await chat(url)).status).toBe(200);
    await app.printed(/"code":"FLAG_MALFORMED".*CHAT_AI_KILL/);
    expect(lines(app.stderr).filter((line) => line.includes("CHAT_AI_KILL"))).toHaveLength(1);
    expect(lines(app.stderr).filter((line) => line.includes("GATEWAY_SHADOW"))).toHaveLength(1);
  });

  it.each([
    ["OPENAI_BASE_URL", { OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: "127.0.0.1:4010" }],
    ["OPENAI_API_KEY", { OPENAI_API_KEY: "sk-two\nlines" }],
  ])("starts with a malformed %s, serves the safe path and says what to set", async (name, env) => {
    const folder = await tempFolder();
    const flagsFile = join(folder, "flags.env");
    await writeFile(flagsFile, on);
    const app = start({ SLUICE_FLAGS_FILE: flagsFile, ...env });
    const url = await urlOf(app);
    await untilPath(url, "legacy");
    expect(await (await chat(url)).json()).toMatchObject({ status: "OK" });
    await app.printed(new RegExp(`PROVIDER_NOT_READY.*set ${name}`));
    expect(app.stderr).not.toContain("sk-two");
    const state = (await (await fetch(`${url}/api/state`)).json()) as { problems: string[] };
    expect(state.problems.join()).toContain(name);
  });

  it("on SIGTERM takes no new connection, finishes the open answers and ends", async () => {
    const folder = await tempFolder();
    const flagsFile = join(folder, "flags.env");
    await writeFile(flagsFile, on);
    const upstream = await upstreamThat(good);
    const app = start({
      SLUICE_FLAGS_FILE: flagsFile,
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${upstream.url}/v1`,
    });
    const url = await urlOf(app);
    await untilPath(url, "ai");

    const release = Promise.withResolvers<void>();
    upstream.answerWith((res, asked) => void release.promise.then(() => good(res, asked)));
    // A connection that is kept must not keep the process.
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const answer = Promise.withResolvers<number | undefined>();
    const before = upstream.requests.length;
    const open = request(`${url}/api/chat`, {
      method: "POST",
      agent,
      headers: { "content-type": "application/json" },
    });
    open.on("response", (response) => {
      response.resume().on("end", () => answer.resolve(response.statusCode));
    });
    open.on("error", answer.reject);
    open.end(JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }));
    await upstream.received(before + 1);

    app.signal("SIGTERM");
    await vi.waitFor(() => expect(fetch(`${url}/healthz`)).rejects.toThrow("fetch failed"), {
      interval: 10,
    });
    const releasedMs = performance.now();
    release.resolve();
    expect(await answer.promise).toBe(200);
    expect(await app.ended).toEqual({ code: 0, signal: null });
    expect(app.stderr).toBe("");
    // By itself, and not because its patience with connections, 5 seconds, is over.
    expect(performance.now() - releasedMs).toBeLessThan(4000);
  });

  it("on SIGTERM ends with its event what flows for longer than CHAT_DRAIN_MS, and ends", async () => {
    const folder = await tempFolder();
    const flagsFile = join(folder, "flags.env");
    await writeFile(flagsFile, on);
    const upstream = await upstreamThat(good);
    const app = start({
      SLUICE_FLAGS_FILE: flagsFile,
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${upstream.url}/v1`,
      CHAT_DRAIN_MS: "100",
    });
    const url = await urlOf(app);
    await untilPath(url, "ai");
    upstream.answerWith((res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      const frame = { choices: [{ index: 0, delta: { content: "half" } }] };
      res.write(`data: ${JSON.stringify(frame)}\n\n`);
    });
    const flowing = await fetch(`${url}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }),
    });
    expect(flowing.status).toBe(200);
    app.signal("SIGTERM");
    expect(await flowing.text()).toMatch(/"text":"half".*"type":"failed".*"code":"KILLED"/s);
    expect(await app.ended).toEqual({ code: 0, signal: null });
  });

  it("on SIGTERM waits for no model that only its shadow asks", async () => {
    const folder = await tempFolder();
    const flagsFile = join(folder, "flags.env");
    await writeFile(flagsFile, `${on}FF_CHAT_GATEWAY_SHADOW=true\n`);
    const upstream = await upstreamThat(() => undefined);
    const app = start({
      SLUICE_FLAGS_FILE: flagsFile,
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${upstream.url}/v1`,
      CHAT_SHADOW_MIRROR_PERCENT: "100",
    });
    const url = await urlOf(app);
    // Until the file has stood for a moment it opens nothing.
    await vi.waitFor(async () => {
      expect((await chat(url)).status).toBe(200);
      expect(upstream.requests.length).toBeGreaterThan(0);
    });
    const askedMs = performance.now();
    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - askedMs).toBeLessThan(4000);
  });
});
