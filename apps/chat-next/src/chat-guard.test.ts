import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chatCompletion, sendJson, startUpstream } from "@sluice/testkit";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { chatGuard } from "./chat-guard.ts";

const hello = { messages: [{ role: "user" as const, content: "hello there" }] };

afterEach(() => {
  vi.unstubAllEnvs();
  // What the process shares is each test's own.
  Reflect.deleteProperty(globalThis, Symbol.for("@sluice/next"));
});

async function flagsFile(text: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-next-guard-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "flags.env");
  await writeFile(path, text);
  vi.stubEnv("SLUICE_FLAGS_FILE", path);
}

describe("the app's guard", () => {
  it("is one for the process, and asks the host that the environment names", async () => {
    const upstream = await startUpstream((res) => sendJson(res, chatCompletion("Every day.")));
    onTestFinished(() => upstream.close());
    vi.stubEnv("OPENAI_API_KEY", "sk-test");
    vi.stubEnv("OPENAI_BASE_URL", `${upstream.url}/v1`);
    await flagsFile("FEATURE_CHAT_AI=true\n");
    const guard = await chatGuard();
    expect(await chatGuard()).toBe(guard);
    onTestFinished(() => guard.close());
    await vi.waitFor(() => expect(guard.probe("alice").effect).toBe("allow"));
    expect(await guard.run(hello, { subject: "alice" })).toMatchObject({
      status: "SUCCEEDED",
      value: { status: "OK", reply: "Every day." },
    });
    expect(upstream.requests[0]?.body).toContain("help desk of a small shop");
  });

  it("hears a stand-in on this machine where there is no key", async () => {
    vi.stubEnv("OPENAI_API_KEY", undefined);
    await flagsFile("FEATURE_CHAT_AI=true\n");
    const guard = await chatGuard();
    onTestFinished(() => guard.close());
    await vi.waitFor(() => expect(guard.probe("alice").effect).toBe("allow"));
    expect(await guard.run(hello, { subject: "alice" })).toMatchObject({
      value: { reply: expect.stringContaining("read 2 words") as string },
    });
  });

  it("takes the safe path without a flag", async () => {
    vi.stubEnv("OPENAI_API_KEY", "sk-test");
    await flagsFile("");
    const guard = await chatGuard();
    onTestFinished(() => guard.close());
    expect(await guard.run(hello, { subject: "alice" })).toMatchObject({
      status: "STUBBED",
      value: { reply: "Hello! Ask about billing or your account." },
    });
  });
});
