import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProcess } from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const main = fileURLToPath(new URL("../../../apps/chat-express/src/main.ts", import.meta.url));
const cli = fileURLToPath(new URL("../../../packages/cli/src/main.ts", import.meta.url));

describe("the chat app with its database in a folder", { timeout: 120_000 }, () => {
  it("is listed, opened, killed and restored by sluice --folder while it runs", async () => {
    const parent = await mkdtemp(join(tmpdir(), "sluice-chat-embedded-"));
    const folder = join(parent, "data");
    const app = startProcess(main, {
      env: { PORT: "0", SLUICE_FOLDER: folder, FF_CHAT_GATEWAY_ENABLED: "true" },
    });
    onTestFinished(async () => {
      await app.kill();
      await rm(parent, { recursive: true });
    });
    const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
    /** As an operator runs it, a process of its own. */
    const sluice = async (...argv: readonly string[]): Promise<string> => {
      const ran = startProcess(cli, { args: [...argv, "--folder", folder] });
      const { code } = await ran.ended;
      expect({ code, err: ran.stderr }, argv.join(" ")).toEqual({ code: 0, err: "" });
      return ran.stdout;
    };
    const listed = async () => JSON.parse(await sluice("flags", "list", "--json")) as unknown;
    const path = async (): Promise<string | null> => {
      const response = await fetch(`${url}/api/chat`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }),
      });
      expect(response.status).toBe(200);
      return response.headers.get("sluice-path");
    };
    const untilPath = (wanted: string): Promise<void> =>
      vi.waitFor(async () => expect(await path()).toBe(wanted), { interval: 20, timeout: 5000 });

    expect(await path()).toBe("legacy");
    expect(await listed()).toMatchObject([{ feature: "chat_ai", enabled: false }]);
    await sluice("flags", "set", "chat_ai", "--enabled", "true", "--percent", "100", "--yes");
    await untilPath("ai");

    const killed = await sluice("kill", "chat_ai", "--reason", "it lies");
    expect(killed).toMatch(/^1 of 1 processes applied version \d+ in \d+ ms$/m);
    // By now, and not by the next poll.
    expect(await path()).toBe("legacy");
    expect(await listed()).toMatchObject([{ feature: "chat_ai", killed: true }]);

    await sluice("restore", "chat_ai", "--yes");
    await untilPath("ai");
    expect(await listed()).toMatchObject([{ feature: "chat_ai", killed: false, enabled: true }]);
    app.signal("SIGTERM");
    expect(await app.ended).toEqual({ code: 0, signal: null });
  });
});
