import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, globSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, unprivilegedUser } from "@sluice/testkit";
import { onTestFinished, vi } from "vitest";

/** PgBouncer, where it is installed. */
export const pooler: string | undefined = globSync("/usr/sbin/pgbouncer")[0];

/**
 * Runs PgBouncer in transaction mode before a server that asks for no password, for the length of one
 * test; resolves with the connection string through it.
 */
export async function startPooler(
  connectionString: string,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<string> {
  if (pooler === undefined) throw new Error("PgBouncer is not installed");
  const to = new URL(connectionString);
  const through = new URL(connectionString);
  const port = await freePort();
  through.hostname = "127.0.0.1";
  through.port = String(port);

  const folder = await mkdtemp(join(tmpdir(), "sluice-pooler-"));
  const owner = unprivilegedUser();
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  const all = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "any",
    pool_mode: "transaction",
    ...settings,
  };
  const own = `host=${to.hostname} port=${to.port || "5432"} user=${to.username}`;
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  const file = join(folder, "pgbouncer.ini");
  await writeFile(file, ["[databases]", `* = ${own}`, "[pgbouncer]", ...lines, ""].join("\n"));
  const process = spawn(pooler, [file], { ...owner, cwd: folder, stdio: "ignore" });
  const ended = once(process, "close");
  onTestFinished(async () => {
    process.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true });
  });
  await vi.waitFor(() => answers(port), { timeout: 10_000, interval: 20 });
  return through.href;
}

function answers(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
