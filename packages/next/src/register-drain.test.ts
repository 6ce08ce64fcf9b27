import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess } from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { registerDrain } from "./register-drain.ts";

const module = (name: string): string => new URL(`./${name}.ts`, import.meta.url).href;

/** A process with one gateway, whose drain goes on until SIGUSR2. */
async function run(more = "") {
  const folder = await mkdtemp(join(tmpdir(), "sluice-drain-"));
  const script = join(folder, "host.mjs");
  await writeFile(
    script,
    `import { addGateway } from ${JSON.stringify(module("drain-gateways"))};
    import { registerDrain } from ${JSON.stringify(module("register-drain"))};
    const ended = new Promise((resolve) => process.once("SIGUSR2", resolve));
    globalThis.gateway = {
      async drain({ deadlineMs }) {
        console.log("draining within " + deadlineMs);
        await ended;
        console.log("drained");
      },
    };
    addGateway(globalThis.gateway);
    registerDrain({ deadlineMs: 1234 });
    ${more}
    setInterval(() => {}, 1000);
    console.log("ready");`,
  );
  const started = startProcess(script);
  onTestFinished(async () => {
    await started.kill();
    await rm(folder, { recursive: true });
  });
  await started.printed(/ready/);
  return started;
}

describe("a registered drain", { timeout: 15_000 }, () => {
  it("drains at SIGTERM, then lets the process end as it would have", async () => {
    const host = await run();
    host.signal("SIGTERM");
    await host.printed(/draining/);
    host.signal("SIGUSR2");
    expect(await host.ended).toEqual({ code: null, signal: "SIGTERM" });
    expect(host.stdout).toBe("ready\ndraining within 1234\ndrained\n");
  });

  it("leaves the end to a host that listens itself", async () => {
    const host = await run(
      `process.on("SIGTERM", () => console.log("closing"));
      process.on("SIGHUP", () => { console.log("closed"); process.exit(7); });`,
    );
    host.signal("SIGTERM");
    await host.printed(/closing/);
    host.signal("SIGUSR2");
    await host.printed(/drained/);
    host.signal("SIGHUP");
    expect(await host.ended).toEqual({ code: 7, signal: null });
    expect(host.stdout).toBe("ready\ndraining within 1234\nclosing\ndrained\nclosed\n");
  });

  it("can be taken back", () => {
    const before = process.listenerCount("SIGTERM");
    const takeBack = registerDrain();
    expect(process.listenerCount("SIGTERM")).toBe(before + 1);
    takeBack();
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });
});
